// All cube instructions.
#pragma once

#include "instructions/cube_params.h"
