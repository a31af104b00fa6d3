// Special functions, by the formulas of kernels/cpu/gamma.py, bessel.py and normal.py. The rational functions and
// polynomials that they call (`gammaln_near(x)` and so on, `temme(row, x)`) are written by special.py from the
// coefficients that both backends share. T is float or double.

namespace tg {

template <typename T>
__device__ inline T infinite() {
    return T(__int_as_float(0x7f800000));
}
template <typename T>
__device__ inline T undefined() {
    return T(__int_as_float(0x7fc00000));
}

// --------------------------------------------------------------------------------------------------------------- gamma
template <typename T>
__device__ inline T gammaln_far_from_one(T x) {
    if (x == infinite<T>()) return x;
    return (x - T(0.5)) * log(x) - x + T(0.9189385332046727) + gammaln_far(T(1) / (x * x)) / x;
}
template <typename T>
__device__ inline T gammaln_right(T x) {
    if (x >= T(4)) return gammaln_far_from_one(x);
    if (x >= T(1)) return (x - T(1)) * (x - T(2)) * gammaln_near(x);
    return x * (x - T(1)) * gammaln_near(x + T(1)) - log(x);
}
template <typename T>
__device__ inline T gammaln(T x) {
    if (x > T(0) || x != x) return gammaln_right(x);
    if (isinf(x)) return infinite<T>();
    const T r = x - rint(x);
    return log(T(3.141592653589793) / abs(sin(T(3.141592653589793) * r))) - gammaln_right(T(1) - x);
}
template <typename T>
__device__ inline T gammaln_plus_one(T a) {
    return a < T(3) ? a * (a - T(1)) * gammaln_near(a + T(1)) : gammaln_far_from_one(a + T(1));
}

template <typename T>
__device__ inline T digamma_right(T x) {
    if (x >= T(2)) {
        const T z = T(1) / (x * x);
        return log(x) - T(0.5) / x - z * digamma_far(z);
    }
    const bool small = x < T(1);
    const T y = small ? x + T(1) : x;
    // the zero in two parts; in float the first has another remainder
    const T high = T(1.4616321449683622);
    const T low = sizeof(T) == 8 ? T(9.549995429965697e-17) : T(1.4616321449683622 - double(high));
    const T value = ((y - high) - low) * digamma_near(y);
    return small ? value - T(1) / x : value;
}
template <typename T>
__device__ inline T digamma(T x) {
    if (x > T(0) || x != x) return digamma_right(x);
    if (x == T(0)) return copysign(infinite<T>(), -x);
    const T r = x - rint(x);
    if (r == T(0) || isinf(x)) return undefined<T>();
    return digamma_right(T(1) - x) - T(3.141592653589793) / tan(T(3.141592653589793) * r);
}

template <typename T>
__device__ inline T zeta(T x, T q) {
    if (x == T(1)) return infinite<T>();
    if (!(x > T(1)) || q != q) return undefined<T>();
    if (q <= T(0)) {
        if (q == floor(q)) return infinite<T>();
        if (x != floor(x) || q <= T(-1000)) return undefined<T>();
    }
    if (x == infinite<T>()) return q == T(1) ? T(1) : q > T(1) ? T(0) : infinite<T>();
    const T limit = x + T(10);
    T total = T(0), a = q;
    while (a < limit) {
        const T term = pow(a, -x), at = a;
        total += term;
        a += T(1);
        if (at >= T(0) && a >= T(1) && term <= total * T(5.5e-17)) break;
    }
    const T power = pow(a, -x);
    total += power * (a / (x - T(1)) + T(0.5));
    if (a >= limit) {
        const double numbers[] = {1.0 / 12, -1.0 / 720, 1.0 / 30240, -1.0 / 1209600, 1.0 / 47900160,
                                  -691.0 / 1307674368000.0, 1.0 / 74724249600.0, -3617.0 / 10670622842880000.0,
                                  43867.0 / 5109094217170944000.0, -174611.0 / 802857662698291200000.0,
                                  77683.0 / 14101100039391805440000.0, -236364091.0 / 1693824136731743669452800000.0};
        T factor = x, scale = power / a;
#pragma unroll
        for (int k = 0; k < 12; ++k) {
            total += factor * scale * T(numbers[k]);
            factor *= (x + T(2 * k + 1)) / a * ((x + T(2 * k + 2)) / a);
        }
    }
    return total;
}

// `sign`, `factorial` and `turned`, the n-th derivative of the cotangent, are made by the host for the order n.
template <typename T, typename F>
__device__ inline T polygamma(T x, int n, T sign, T factorial, F turned) {
    if (x > T(0) || x != x) return sign * factorial * zeta(T(n + 1), x);
    if (x == T(0)) return n % 2 ? infinite<T>() : copysign(infinite<T>(), -x);
    const T r = x - rint(x);
    if (r == T(0) || isinf(x)) return n % 2 && r == T(0) ? infinite<T>() : undefined<T>();
    const T mirrored = sign * factorial * zeta(T(n + 1), T(1) - x);
    return (n % 2 ? -mirrored : mirrored) - turned(T(1) / tan(T(3.141592653589793) * r));
}

// ---------------------------------------------------------------------------------------------------- incomplete gamma
template <typename T>
__device__ inline T log_one_plus_minus(T x) {
    return x > T(-0.4) && x < T(0.6) ? x * x * log1pmx(x) : log1p(x) - x;
}
template <typename T>
__device__ inline T gamma_weight(T a, T x) {  // x^a e^-x / gamma(a + 1)
    if (a < T(4)) return exp(a * log(x) - x - gammaln_plus_one(a));
    const T mu = (x - a) / a, rest = gammaln_far(T(1) / (a * a)) / a;
    T y;
    if (abs(mu) < T(0.4)) {
        y = exp(a * log_one_plus_minus(mu));
    } else if (a < T(200)) {
        const T half = pow(x / a, a * T(0.5)) * exp((a - x) * T(0.5));
        y = half * half;
    } else {
        y = exp(a * log(x / a) + (a - x));
    }
    return y * exp(-rest) / sqrt(T(6.283185307179586) * a);
}
template <typename T>
__device__ inline T machine_epsilon() {
    return sizeof(T) == 8 ? T(1.1102230246251565e-16) : T(5.960464477539063e-08);
}
template <typename T>
__device__ inline T gamma_series(T a, T x) {
    T term = T(1), total = T(1);
    for (int n = 1; n < 10000; ++n) {
        term *= x / (a + T(n));
        total += term;
        if (!(term > total * machine_epsilon<T>() * T(0.5))) break;
    }
    return total * gamma_weight(a, x);
}
template <typename T>
__device__ inline T gamma_small_series(T a, T x) {
    T factor = T(1), total = T(0);
    for (int n = 1; n < 200; ++n) {
        factor *= -x / T(n);
        const T term = factor / (a + T(n));
        total += term;
        if (!(abs(term) > abs(total) * machine_epsilon<T>() * T(0.5))) break;
    }
    const T power = a * log(x) - gammaln_plus_one(a);
    return -expm1(power) - a * exp(power) * total;
}
template <typename T>
__device__ inline T gamma_fraction(T a, T x) {
    const T tiny = sizeof(T) == 8 ? T(1e-300) : T(1e-30);
    T b = x + T(1) - a, c = T(1) / tiny, d = T(1) / b, h = d;
    for (int n = 1; n < 10000; ++n) {
        const T step = T(-n) * (T(n) - a);
        b += T(2);
        d = step * d + b;
        if (abs(d) < tiny) d = tiny;
        c = b + step / c;
        if (abs(c) < tiny) c = tiny;
        d = T(1) / d;
        const T change = d * c;
        h *= change;
        if (abs(change - T(1)) <= T(4) * machine_epsilon<T>()) break;
    }
    return h * a * gamma_weight(a, x);
}
template <typename T>
__device__ inline T gamma_uniform(T a, T x, bool upper) {
    const T mu = (x - a) / a, half = -log_one_plus_minus(mu);
    const T eta = copysign(sqrt(T(2) * half), mu);
    const T rest = exp(-a * half) / sqrt(T(6.283185307179586) * a) * temme(eta, T(1) / a);
    const T root = eta * sqrt(a * T(0.5));
    return upper ? T(0.5) * erfc(root) + rest : T(0.5) * erfc(-root) - rest;
}
template <typename T>
__device__ inline T incomplete_gamma(T a, T x, bool upper) {
    const T end = upper ? T(0) : T(1), start = upper ? T(1) : T(0);
    if (!(a >= T(0)) || !(x >= T(0))) return undefined<T>();
    if (isinf(a)) return isinf(x) ? undefined<T>() : start;
    if (isinf(x)) return end;
    if (a == T(0)) return x > T(0) ? end : undefined<T>();
    if (x == T(0)) return start;
    if (a > T(100) && abs(x - a) < T(0.4) * a) return gamma_uniform(a, x, upper);
    const bool below = x > T(1.1) ? x < a : x <= T(0.5) ? T(-0.4) / log(x) < a : x * T(1.1) < a;
    if (below || (!upper && x < T(4))) {
        const T p = gamma_series(a, x);
        return upper ? T(1) - p : p;
    }
    if (x <= T(1.1)) return gamma_small_series(a, x);
    const T q = gamma_fraction(a, x);
    return upper ? q : T(1) - q;
}
template <typename T>
__device__ inline T gammainc(T a, T x) {
    return incomplete_gamma(a, x, false);
}
template <typename T>
__device__ inline T gammaincc(T a, T x) {
    return incomplete_gamma(a, x, true);
}

// -------------------------------------------------------------------------------------------------------------- Bessel
template <typename T, bool ONE, bool SCALED>
__device__ inline T modified_first(T x) {
    const T a = abs(x);
    T y;
    if (a <= T(20)) {
        const T z = a * a * T(0.25);
        y = ONE ? i1_near(z) * a : i0_near(z);
        if (SCALED) y *= exp(-a);
    } else if (isinf(a)) {
        y = SCALED ? T(0) : a;
    } else {
        y = (ONE ? i1_far(T(1) / a) : i0_far(T(1) / a)) / sqrt(a);
        if (!SCALED && a == a) {
            const T half = exp(a * T(0.5));
            y = y * half * half;
        }
    }
    return ONE ? copysign(y, x) : y;
}
template <typename T, bool ONE, bool SCALED>
__device__ inline T modified_second(T x) {
    if (!(x >= T(0))) return undefined<T>();
    if (x == T(0)) return infinite<T>();
    if (isinf(x)) return T(0);
    if (x <= T(1)) {
        const T z = x * x * T(0.25), l = log(x * T(0.5));
        const T y = ONE ? x * k1_near(z) + l * x * i1_near(z) + T(1) / x : k0_near(z) - l * i0_near(z);
        return SCALED ? y * exp(x) : y;
    }
    const T y = (ONE ? k1_far(T(1) / x) : k0_far(T(1) / x)) / sqrt(x);
    return SCALED ? y : y * exp(-x);
}
template <typename T, bool ONE>
__device__ inline T first_near(T x) {
    const T z = x * x;
    const double a = ONE ? 14.681970642123893 : 5.783185962946784, b = ONE ? 49.2184563216946 : 30.471262343662087;
    const double a_low = ONE ? -9.858177825793294e-17 : 4.123247343506204e-16;
    const double b_low = ONE ? 5.086354069436341e-16 : -2.366534485750659e-16;
    const T first = (z - T(a)) - T(sizeof(T) == 8 ? a_low : a - double(T(a)));
    const T second = (z - T(b)) - T(sizeof(T) == 8 ? b_low : b - double(T(b)));
    return first * second * (ONE ? x * j1_near(z) : j0_near(z));
}
template <typename T, bool ONE, bool SECOND>
__device__ inline T bessel_far(T x) {
    const T w = T(25) / (x * x), p = ONE ? jp1_far(w) : jp0_far(w), q = (ONE ? jq1_far(w) : jq0_far(w)) * (T(5) / x);
    const T s = sin(x), c = cos(x), root = T(0.7071067811865476);
    const T cosine = ONE ? root * (s - c) : root * (c + s), sine = ONE ? -root * (s + c) : root * (s - c);
    const T scale = sqrt(T(0.6366197723675814) / x);
    return scale * (SECOND ? p * sine + q * cosine : p * cosine - q * sine);
}
template <typename T, bool ONE>
__device__ inline T bessel_first(T x) {
    const T a = abs(x);
    T y;
    if (a <= T(5)) {
        y = first_near<T, ONE>(a);
    } else {
        y = isinf(a) ? T(0) : bessel_far<T, ONE, false>(a);
    }
    return ONE && x < T(0) ? -y : y;
}
template <typename T, bool ONE>
__device__ inline T bessel_second(T x) {
    if (!(x >= T(0))) return undefined<T>();
    if (x == T(0)) return -infinite<T>();
    if (isinf(x)) return T(0);
    if (x > T(5)) return bessel_far<T, ONE, true>(x);
    const T y = ONE ? y1_near(x * x) * x : y0_near(x * x), first = first_near<T, ONE>(x);
    return y + T(0.6366197723675814) * (ONE ? log(x) * first - T(1) / x : log(x) * first);
}

// -------------------------------------------------------------------------------------------------------------- normal
template <typename T>
__device__ inline T quantile_tail(T p) {
    if (p == T(0)) return infinite<T>();
    const T r = sqrt(-log(p));
    return r <= T(5) ? normal_tail(r - T(1.6)) : normal_far_tail(r - T(5));
}
template <typename T>
__device__ inline T ndtri(T p) {
    const T q = p - T(0.5);
    if (abs(q) <= T(0.425)) return q * normal_centre(T(0.180625) - q * q);
    if (!(p >= T(0) && p <= T(1))) return undefined<T>();
    return q < T(0) ? -quantile_tail(p) : quantile_tail(T(1) - p);
}
template <typename T>
__device__ inline T erfinv(T x) {
    const T a = abs(x), root = T(0.7071067811865476);
    if (a <= T(0.85)) return T(0.5) * root * x * normal_centre(T(0.180625) - T(0.25) * x * x);
    if (!(a <= T(1))) return undefined<T>();
    return copysign(root * quantile_tail((T(1) - a) * T(0.5)), x);
}
template <typename T>
__device__ inline T erfcx_right(T x) {
    if (x <= T(28)) return erfc_scaled(x);
    const T z = T(1) / (x * x);
    const T series = T(1) + z * (T(-0.5) + z * (T(0.75) + z * (T(-1.875) + z * (T(6.5625) - z * T(29.53125)))));
    return series / (x * T(1.7724538509055159));
}
template <typename T>
__device__ inline T erfcx(T x) {
    if (!(x < T(0))) return x == x ? erfcx_right(x) : x;
    if (x < T(-27)) return infinite<T>();
    const T b = rint(x * T(16)) / T(16);
    return T(2) * (exp(b * b) * exp((x - b) * (x + b))) - erfcx_right(-x);
}
template <typename T>
__device__ inline T ndtr(T x) {
    return T(0.5) * erfc(x * T(-0.7071067811865476));
}
template <typename T>
__device__ inline T log_ndtr(T x) {
    if (isinf(x)) return x < T(0) ? x : T(0);
    const T y = x * T(0.7071067811865476);
    return x < T(-1) ? log(T(0.5) * erfcx_right(-y)) - T(0.5) * x * x : log1p(T(-0.5) * erfc(y));
}

}  // namespace tg
