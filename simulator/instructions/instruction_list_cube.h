// Cube instructions: name, family, pipe, header (see ../instruction_list.h).
#pragma once

#define ASCEND_SIM_CUBE_INSTRUCTIONS(X)
