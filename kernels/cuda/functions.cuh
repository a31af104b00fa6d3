// Scalar functions that the instruction table's expressions use, with NumPy's meaning, in namespace tg.
// The names stand beside CUDA's own; a kernel picks these with one `using tg::name;` per function it calls, because
// CUDA's `remainder` or an integer `floor` would otherwise be chosen silently. Half types arrive here as float.
#pragma once

namespace tg {

template <typename T, int BYTES = sizeof(T)>
struct Compute {
    using type = T;
};
template <typename T>
struct Compute<T, 2> {
    using type = float;
};
template <>
struct Compute<short, 2> {
    using type = short;
};
template <>
struct Compute<unsigned short, 2> {
    using type = unsigned short;
};
template <typename T>
using compute_t = typename Compute<T>::type;

#define TG_REAL1(name)                                                    \
    __device__ inline float name(float x) { return ::name##f(x); }        \
    __device__ inline double name(double x) { return ::name(x); }
#define TG_REAL2(name)                                                             \
    __device__ inline float name(float x, float y) { return ::name##f(x, y); }     \
    __device__ inline double name(double x, double y) { return ::name(x, y); }
TG_REAL1(sqrt)
TG_REAL1(cbrt)
TG_REAL1(exp)
TG_REAL1(exp2)
TG_REAL1(expm1)
TG_REAL1(log)
TG_REAL1(log2)
TG_REAL1(log10)
TG_REAL1(log1p)
TG_REAL1(sin)
TG_REAL1(cos)
TG_REAL1(tan)
TG_REAL1(asin)
TG_REAL1(acos)
TG_REAL1(atan)
TG_REAL1(sinh)
TG_REAL1(cosh)
TG_REAL1(tanh)
TG_REAL1(asinh)
TG_REAL1(acosh)
TG_REAL1(atanh)
TG_REAL1(erf)
TG_REAL1(erfc)
TG_REAL1(floor)
TG_REAL1(ceil)
TG_REAL1(trunc)
TG_REAL1(rint)
TG_REAL2(fmax)
TG_REAL2(fmin)
TG_REAL2(fmod)
TG_REAL2(atan2)
TG_REAL2(hypot)
TG_REAL2(copysign)
TG_REAL2(nextafter)
#undef TG_REAL1
#undef TG_REAL2

// Integers and booleans are whole and finite.
template <typename T>
__device__ inline T floor(T x) {
    return x;
}
template <typename T>
__device__ inline T ceil(T x) {
    return x;
}
template <typename T>
__device__ inline T trunc(T x) {
    return x;
}
template <typename T>
__device__ inline T rint(T x) {
    return x;
}
template <typename T>
__device__ inline bool isnan(T x) {
    return x != x;
}
template <typename T>
__device__ inline bool isinf(T) {
    return false;
}
__device__ inline bool isinf(float x) { return ::fabsf(x) > 3.4028234663852886e38f; }
__device__ inline bool isinf(double x) { return ::fabs(x) > 1.7976931348623157e308; }
template <typename T>
__device__ inline bool isfinite(T x) {
    return !isnan(x) && !isinf(x);
}
template <typename T>
__device__ inline bool signbit(T x) {
    return x < T(0);
}
__device__ inline bool signbit(float x) { return ::copysignf(1.0f, x) < 0; }
__device__ inline bool signbit(double x) { return ::copysign(1.0, x) < 0; }

template <typename T>
__device__ inline T abs(T x) {
    return x < T(0) ? T(0 - x) : x;
}
__device__ inline bool abs(bool x) { return x; }
__device__ inline float abs(float x) { return ::fabsf(x); }
__device__ inline double abs(double x) { return ::fabs(x); }
template <typename T>
__device__ inline T sign(T x) {
    return x > T(0) ? T(1) : x < T(0) ? T(0 - 1) : x == T(0) ? T(0) : x;  // NaN stays NaN
}
template <typename T>
__device__ inline T rsqrt(T x) {
    return T(1) / sqrt(x);
}

// NaN wins against everything. The second operand takes the type of the first: `maximum(x, 0)` is for every type.
template <typename T>
struct Same {
    using type = T;
};
template <typename T>
__device__ inline T maximum(T x, typename Same<T>::type y) {
    return x > y || x != x ? x : y;
}
template <typename T>
__device__ inline T minimum(T x, typename Same<T>::type y) {
    return x < y || x != x ? x : y;
}

// Of a number and a NaN, the number; integers have no NaN.
template <typename T>
__device__ inline T fmax(T x, T y) {
    return x < y ? y : x;
}
template <typename T>
__device__ inline T fmin(T x, T y) {
    return y < x ? y : x;
}
// What is left of a division that rounds to zero.
template <typename T>
__device__ inline T fmod(T x, T y) {
    if (y == T(0) || (y == T(-1) && T(-1) < T(0))) return T(0);
    return T(x % y);
}
template <typename T>
__device__ inline T heaviside(T x, T y) {
    return x == T(0) ? y : x > T(0) ? T(1) : x < T(0) ? T(0) : x;
}
template <typename T>
__device__ inline T gcd(T x, T y) {
    T a = abs(x), b = abs(y);
    while (b != T(0)) {
        const T r = T(a % b);
        a = b;
        b = r;
    }
    return a;
}
template <typename T>
__device__ inline T lcm(T x, T y) {
    const T d = gcd(x, y);
    return d == T(0) ? T(0) : abs(T(x / d * y));
}

// Division rounds down, and what is left has the divisor's sign. By zero, integers give 0 as in NumPy.
template <typename T>
__device__ inline T floor_divide(T x, T y) {
    if (y == T(0)) return T(0);
    if (y == T(-1) && T(-1) < T(0)) return T(0 - static_cast<unsigned long long>(x));  // the lowest integer would trap
    const T q = T(x / y);
    return q * y != x && (x < T(0)) != (y < T(0)) ? T(q - 1) : q;
}
template <typename T>
__device__ inline T remainder(T x, T y) {
    if (y == T(0) || (y == T(-1) && T(-1) < T(0))) return T(0);
    const T r = T(x % y);
    return r != T(0) && (r < T(0)) != (y < T(0)) ? T(r + y) : r;
}
template <typename T>
__device__ inline T real_remainder(T x, T y) {
    const T r = fmod(x, y);
    if (y == T(0)) return r;
    if (r == T(0)) return copysign(T(0), y);
    return (y < T(0)) != (r < T(0)) ? r + y : r;
}
template <typename T>
__device__ inline T real_floor_divide(T x, T y) {
    if (y == T(0) || isinf(x) || isinf(y)) return floor(x / y);
    T r = fmod(x, y);
    T q = (x - r) / y;  // whole, up to rounding
    if (r != T(0) && (y < T(0)) != (r < T(0))) q -= T(1);
    if (q == T(0)) return copysign(T(0), x / y);
    const T whole = floor(q);
    return q - whole > T(0.5) ? whole + T(1) : whole;
}
__device__ inline float remainder(float x, float y) { return real_remainder(x, y); }
__device__ inline double remainder(double x, double y) { return real_remainder(x, y); }
__device__ inline float floor_divide(float x, float y) { return real_floor_divide(x, y); }
__device__ inline double floor_divide(double x, double y) { return real_floor_divide(x, y); }

__device__ inline float pow(float x, float y) { return ::powf(x, y); }
__device__ inline double pow(double x, double y) { return ::pow(x, y); }
template <typename T>
__device__ inline T pow(T x, T y) {
    if (y < T(0)) return x == T(1) ? T(1) : x == T(-1) ? (y & 1 ? T(-1) : T(1)) : T(0);
    T result = T(1);
    for (; y > T(0); y = T(y >> 1)) {
        if (y & 1) result = T(result * x);
        x = T(x * x);
    }
    return result;
}

template <typename T>
__device__ inline T invert(T x) {
    return T(~x);
}
__device__ inline bool invert(bool x) { return !x; }

// A shift by the width or more leaves nothing but the sign; the mask keeps the hardware's shift defined.
template <typename T>
__device__ inline T shift_left(T x, T y) {
    constexpr int BITS = 8 * sizeof(T);
    const bool inside = y >= T(0) && static_cast<unsigned long long>(y) < BITS;
    return inside ? T(static_cast<unsigned long long>(x) << static_cast<unsigned long long>(y)) : T(0);
}
template <typename T>
__device__ inline T shift_right(T x, T y) {
    constexpr int BITS = 8 * sizeof(T);
    const bool inside = y >= T(0) && static_cast<unsigned long long>(y) < BITS;
    return inside ? T(x >> y) : x < T(0) ? T(0 - 1) : T(0);
}

template <typename T>
__device__ inline T logaddexp(T x, T y) {
    if (x == y) return x + T(0.6931471805599453);  // also two infinities of one sign
    const T d = x - y;
    return d > T(0) ? x + log1p(exp(-d)) : d <= T(0) ? y + log1p(exp(d)) : d;
}

template <typename T>
__device__ inline T logaddexp2(T x, T y) {
    if (x == y) return x + T(1);
    const T d = x - y;
    const T scale = T(1.4426950408889634);
    return d > T(0) ? x + log1p(exp2(-d)) * scale : d <= T(0) ? y + log1p(exp2(d)) * scale : d;
}

// --------------------------------------------------------------------------------------------------------- activations
template <typename T>
__device__ inline T sigmoid(T x) {
    return T(1) / (T(1) + exp(-x));
}
template <typename T>
__device__ inline T silu(T x) {
    return x * sigmoid(x);
}
template <typename T>
__device__ inline T silu_backward(T g, T x) {
    const T s = sigmoid(x);
    return g * (s * (T(1) + x * (T(1) - s)));
}
template <typename T>
__device__ inline T gelu(T x) {
    return T(0.5) * x * erfc(x * T(-0.7071067811865476));  // 1 + erf(z) = erfc(-z) keeps its digits for negative x
}
template <typename T>
__device__ inline T gelu_backward(T g, T x) {
    const T below = T(0.5) * erfc(x * T(-0.7071067811865476));
    return g * (below + x * exp(T(-0.5) * x * x) * T(0.3989422804014327));
}
template <typename T>
__device__ inline T gelu_tanh(T x) {
    return T(0.5) * x * (T(1) + tanh(T(0.7978845608028654) * (x + T(0.044715) * x * x * x)));
}
template <typename T>
__device__ inline T gelu_tanh_backward(T g, T x) {
    const T t = tanh(T(0.7978845608028654) * (x + T(0.044715) * x * x * x));
    const T slope = T(0.7978845608028654) * (T(1) + T(0.134145) * x * x);
    return g * (T(0.5) * (T(1) + t) + T(0.5) * x * (T(1) - t * t) * slope);
}

}  // namespace tg
