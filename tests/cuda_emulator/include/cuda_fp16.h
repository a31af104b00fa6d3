// __half and half2.
#pragma once

#include "small_float.h"

using __half = emulator::SmallFloat<emulator::HalfCodec>;
using __half2 = emulator::SmallFloat2<emulator::HalfCodec>;
using half = __half;
using half2 = __half2;
EMULATOR_SMALL_FLOAT_CONVERSIONS(__half, __half2, half, half2)

#define CUDART_INF_FP16 __ushort_as_half(0x7c00u)
#define CUDART_MAX_NORMAL_FP16 __ushort_as_half(0x7bffu)
#define CUDART_ZERO_FP16 __ushort_as_half(0x0000u)
#define CUDART_ONE_FP16 __ushort_as_half(0x3c00u)
