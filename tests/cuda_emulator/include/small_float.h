// The 16-bit floating point types: stored as bits, computed in float, rounded to nearest even.
//
// float has more than twice the precision of either type plus two bits, so that rounding the float
// result of one operation gives the same value as rounding the exact one.
#pragma once

namespace emulator {

struct HalfCodec {
    static constexpr unsigned short kNan = 0x7fff, kAbsoluteMask = 0x7fff, kInfinity = 0x7c00;

    EMULATOR_UNCHECKED static inline unsigned short encode(float x) {
        const uint32_t bits = bit_cast<uint32_t>(x);
        const uint32_t sign = bits >> 16 & 0x8000u;
        const uint32_t magnitude = bits & 0x7fffffffu;
        if (magnitude > 0x7f800000u) return kNan;
        if (magnitude >= 0x477ff000u) return static_cast<unsigned short>(sign | kInfinity);
        if (magnitude < 0x38800000u) {
            // Subnormal: adding 0.5 makes the adder round at the last place of the result.
            const float shifted = bit_cast<float>(magnitude) + 0.5f;
            return static_cast<unsigned short>(sign | (bit_cast<uint32_t>(shifted) - 0x3f000000u));
        }
        const uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u) - 0x38000000u;
        return static_cast<unsigned short>(sign | rounded >> 13);
    }
    EMULATOR_UNCHECKED static inline float decode(unsigned short bits) {
        const uint32_t sign = uint32_t{bits & 0x8000u} << 16;
        const uint32_t magnitude = bits & 0x7fffu;
        if (magnitude >= kInfinity) return bit_cast<float>(sign | 0x7f800000u | magnitude << 13);
        const float scaled = bit_cast<float>(magnitude << 13) * 0x1p112f;
        return bit_cast<float>(sign | bit_cast<uint32_t>(scaled));
    }
};

struct BfloatCodec {
    static constexpr unsigned short kNan = 0x7fff, kAbsoluteMask = 0x7fff, kInfinity = 0x7f80;

    EMULATOR_UNCHECKED static inline unsigned short encode(float x) {
        const uint32_t bits = bit_cast<uint32_t>(x);
        if ((bits & 0x7fffffffu) > 0x7f800000u) return kNan;
        return static_cast<unsigned short>(bits + 0x7fffu + (bits >> 16 & 1u) >> 16);
    }
    EMULATOR_UNCHECKED static inline float decode(unsigned short bits) {
        return bit_cast<float>(uint32_t{bits} << 16);
    }
};

template <class Codec>
struct __align__(2) SmallFloat {
    unsigned short bits;

    SmallFloat() = default;
    template <class T, class = std::enable_if_t<std::is_arithmetic_v<T>>>
    SmallFloat(T value) : bits(Codec::encode(static_cast<float>(value))) {}
    operator float() const { return Codec::decode(bits); }

    static SmallFloat from_bits(unsigned short bits) {
        SmallFloat result;
        result.bits = bits;
        return result;
    }
    friend SmallFloat operator+(SmallFloat a, SmallFloat b) { return float(a) + float(b); }
    friend SmallFloat operator-(SmallFloat a, SmallFloat b) { return float(a) - float(b); }
    friend SmallFloat operator*(SmallFloat a, SmallFloat b) { return float(a) * float(b); }
    friend SmallFloat operator/(SmallFloat a, SmallFloat b) { return float(a) / float(b); }
    friend SmallFloat operator-(SmallFloat a) { return from_bits(a.bits ^ 0x8000u); }
    friend SmallFloat operator+(SmallFloat a) { return a; }
    SmallFloat& operator+=(SmallFloat b) { return *this = *this + b; }
    SmallFloat& operator-=(SmallFloat b) { return *this = *this - b; }
    SmallFloat& operator*=(SmallFloat b) { return *this = *this * b; }
    SmallFloat& operator/=(SmallFloat b) { return *this = *this / b; }
    friend bool operator==(SmallFloat a, SmallFloat b) { return float(a) == float(b); }
    friend bool operator!=(SmallFloat a, SmallFloat b) { return float(a) != float(b); }
    friend bool operator<(SmallFloat a, SmallFloat b) { return float(a) < float(b); }
    friend bool operator>(SmallFloat a, SmallFloat b) { return float(a) > float(b); }
    friend bool operator<=(SmallFloat a, SmallFloat b) { return float(a) <= float(b); }
    friend bool operator>=(SmallFloat a, SmallFloat b) { return float(a) >= float(b); }
};

template <class Codec>
struct __align__(4) SmallFloat2 {
    SmallFloat<Codec> x, y;
    friend SmallFloat2 operator+(SmallFloat2 a, SmallFloat2 b) { return {a.x + b.x, a.y + b.y}; }
    friend SmallFloat2 operator-(SmallFloat2 a, SmallFloat2 b) { return {a.x - b.x, a.y - b.y}; }
    friend SmallFloat2 operator*(SmallFloat2 a, SmallFloat2 b) { return {a.x * b.x, a.y * b.y}; }
    friend SmallFloat2 operator/(SmallFloat2 a, SmallFloat2 b) { return {a.x / b.x, a.y / b.y}; }
    SmallFloat2& operator+=(SmallFloat2 b) { return *this = *this + b; }
    SmallFloat2& operator*=(SmallFloat2 b) { return *this = *this * b; }
};

template <class C>
using S = SmallFloat<C>;
template <class C>
using S2 = SmallFloat2<C>;

}    // namespace emulator

// The functions that both types share under one name.
#define EMULATOR_SMALL_FLOAT_FUNCTION(name, scalar)                                              \
    template <class C>                                                                           \
    inline emulator::S<C> name(emulator::S<C> a) {                                               \
        const float x = a;                                                                       \
        return emulator::S<C>(scalar);                                                           \
    }
EMULATOR_SMALL_FLOAT_FUNCTION(__hneg, -x)
EMULATOR_SMALL_FLOAT_FUNCTION(__habs, fabsf(x))
EMULATOR_SMALL_FLOAT_FUNCTION(hexp, expf(x))
EMULATOR_SMALL_FLOAT_FUNCTION(hexp2, exp2f(x))
EMULATOR_SMALL_FLOAT_FUNCTION(hlog, logf(x))
EMULATOR_SMALL_FLOAT_FUNCTION(hlog2, log2f(x))
EMULATOR_SMALL_FLOAT_FUNCTION(hsqrt, sqrtf(x))
EMULATOR_SMALL_FLOAT_FUNCTION(hrsqrt, rsqrtf(x))
EMULATOR_SMALL_FLOAT_FUNCTION(hrcp, 1.0f / x)
EMULATOR_SMALL_FLOAT_FUNCTION(hsin, sinf(x))
EMULATOR_SMALL_FLOAT_FUNCTION(hcos, cosf(x))
EMULATOR_SMALL_FLOAT_FUNCTION(htanh, tanhf(x))
EMULATOR_SMALL_FLOAT_FUNCTION(hfloor, floorf(x))
EMULATOR_SMALL_FLOAT_FUNCTION(hceil, ceilf(x))
EMULATOR_SMALL_FLOAT_FUNCTION(hrint, rintf(x))
EMULATOR_SMALL_FLOAT_FUNCTION(htrunc, truncf(x))
#undef EMULATOR_SMALL_FLOAT_FUNCTION

#define EMULATOR_SMALL_FLOAT_BINARY(name, expression)                                            \
    template <class C>                                                                           \
    inline emulator::S<C> name(emulator::S<C> a, emulator::S<C> b) { return expression; }        \
    template <class C>                                                                           \
    inline emulator::S2<C> name##2(emulator::S2<C> p, emulator::S2<C> q) {                       \
        return {name(p.x, q.x), name(p.y, q.y)};                                                 \
    }
EMULATOR_SMALL_FLOAT_BINARY(__hadd, a + b)
EMULATOR_SMALL_FLOAT_BINARY(__hsub, a - b)
EMULATOR_SMALL_FLOAT_BINARY(__hmul, a * b)
EMULATOR_SMALL_FLOAT_BINARY(__hmax, emulator::S<C>(fmaxf(a, b)))
EMULATOR_SMALL_FLOAT_BINARY(__hmin, emulator::S<C>(fminf(a, b)))
#undef EMULATOR_SMALL_FLOAT_BINARY

#define EMULATOR_SMALL_FLOAT_COMPARISON(name, operation)                                         \
    template <class C>                                                                           \
    inline bool name(emulator::S<C> a, emulator::S<C> b) { return a operation b; }
EMULATOR_SMALL_FLOAT_COMPARISON(__heq, ==)
EMULATOR_SMALL_FLOAT_COMPARISON(__hne, !=)
EMULATOR_SMALL_FLOAT_COMPARISON(__hlt, <)
EMULATOR_SMALL_FLOAT_COMPARISON(__hgt, >)
EMULATOR_SMALL_FLOAT_COMPARISON(__hle, <=)
EMULATOR_SMALL_FLOAT_COMPARISON(__hge, >=)
#undef EMULATOR_SMALL_FLOAT_COMPARISON

template <class C>
inline emulator::S<C> __hdiv(emulator::S<C> a, emulator::S<C> b) { return a / b; }
template <class C>
inline emulator::S2<C> __h2div(emulator::S2<C> a, emulator::S2<C> b) { return a / b; }
template <class C>
inline emulator::S<C> __hfma(emulator::S<C> a, emulator::S<C> b, emulator::S<C> c) {
    return emulator::S<C>(fmaf(a, b, c));
}
template <class C>
inline emulator::S2<C> __hfma2(emulator::S2<C> a, emulator::S2<C> b, emulator::S2<C> c) {
    return {__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)};
}
template <class C>
inline bool __hisnan(emulator::S<C> a) { return (a.bits & C::kAbsoluteMask) > C::kInfinity; }
template <class C>
inline int __hisinf(emulator::S<C> a) {
    return (a.bits & C::kAbsoluteMask) != C::kInfinity ? 0 : a.bits & 0x8000u ? -1 : 1;
}
template <class C>
inline float __low2float(emulator::S2<C> a) { return a.x; }
template <class C>
inline float __high2float(emulator::S2<C> a) { return a.y; }

// The functions whose names hold the type's: Scalar and Pair are the types, `s` and `p` their names.
#define EMULATOR_SMALL_FLOAT_CONVERSIONS(Scalar, Pair, s, p)                                     \
    inline Scalar __float2##s(float x) { return Scalar(x); }                                     \
    inline Scalar __float2##s##_rn(float x) { return Scalar(x); }                                \
    inline Scalar __double2##s(double x) { return Scalar(float(x)); }                            \
    inline Scalar __int2##s##_rn(int x) { return Scalar(float(x)); }                             \
    inline Scalar __uint2##s##_rn(unsigned x) { return Scalar(float(x)); }                       \
    inline Scalar __ushort_as_##s(unsigned short bits) { return Scalar::from_bits(bits); }       \
    inline Scalar __short_as_##s(short bits) { return Scalar::from_bits(bits); }                 \
    inline unsigned short __##s##_as_ushort(Scalar x) { return x.bits; }                         \
    inline short __##s##_as_short(Scalar x) { return short(x.bits); }                            \
    inline float __##s##2float(Scalar x) { return x; }                                           \
    inline int __##s##2int_rn(Scalar x) { return int(rintf(x)); }                                \
    inline int __##s##2int_rz(Scalar x) { return int(float(x)); }                                \
    inline Pair __float2##p##_rn(float x) { return {Scalar(x), Scalar(x)}; }                     \
    inline Pair __floats2##p##_rn(float x, float y) { return {Scalar(x), Scalar(y)}; }           \
    inline Pair __float22##p##_rn(float2 v) { return {Scalar(v.x), Scalar(v.y)}; }               \
    inline float2 __##p##2float2(Pair v) { return {v.x, v.y}; }                                  \
    inline Pair __halves2##p(Scalar x, Scalar y) { return {x, y}; }                              \
    inline Pair __##s##2##p(Scalar x) { return {x, x}; }                                         \
    inline Pair make_##p(Scalar x, Scalar y) { return {x, y}; }                                  \
    inline Scalar __low2##s(Pair v) { return v.x; }                                              \
    inline Scalar __high2##s(Pair v) { return v.y; }
