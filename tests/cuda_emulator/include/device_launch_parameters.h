// Everything of this header is in cuda_shim.h, which every kernel sees already.
#pragma once
