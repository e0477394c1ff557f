// All cube instructions.
#pragma once

#include "instructions/cube_params.h"
#include "instructions/fixpipe.h"
#include "instructions/load_data.h"
#include "instructions/mmad.h"
