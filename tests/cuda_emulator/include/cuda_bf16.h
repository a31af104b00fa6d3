// __nv_bfloat16 and __nv_bfloat162.
#pragma once

#include "small_float.h"

using __nv_bfloat16 = emulator::SmallFloat<emulator::BfloatCodec>;
using __nv_bfloat162 = emulator::SmallFloat2<emulator::BfloatCodec>;
using nv_bfloat16 = __nv_bfloat16;
using nv_bfloat162 = __nv_bfloat162;
EMULATOR_SMALL_FLOAT_CONVERSIONS(__nv_bfloat16, __nv_bfloat162, bfloat16, bfloat162)

#define CUDART_INF_BF16 __ushort_as_bfloat16(0x7f80u)
#define CUDART_MAX_NORMAL_BF16 __ushort_as_bfloat16(0x7f7fu)
#define CUDART_ZERO_BF16 __ushort_as_bfloat16(0x0000u)
#define CUDART_ONE_BF16 __ushort_as_bfloat16(0x3f80u)
