// normals_isa.cpp: one ISA's Philox4x32-10 and Box-Muller transformation. Compiled once per ISA, with that
// ISA's flags and -DSINGLE_LOCATION_ISA=<its name>.
//
// xsimd is seen under a namespace of the ISA's own name, and everything else is in an anonymous namespace:
// no inline function compiled for one ISA can be the copy that another calls.
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define xsimd JOIN(xsimd_, SINGLE_LOCATION_ISA)

#include "random/normals_isa.hpp"

#include <cstdint>
#include <xsimd/xsimd.hpp>

#include "random/philox.hpp"

namespace single_location {
namespace {

// The xsimd architecture of each ISA.
namespace arch {
using sse2 = xsimd::sse2;
using avx2 = xsimd::fma3<xsimd::avx2>;
using avx512 = xsimd::avx512bw;
using neon64 = xsimd::neon64;
}  // namespace arch

using Arch = arch::SINGLE_LOCATION_ISA;
using Floats = xsimd::batch<float, Arch>;
using Ints = xsimd::batch<std::int32_t, Arch>;
using Words = xsimd::batch<std::uint32_t, Arch>;
using Pairs = xsimd::batch<std::uint64_t, Arch>;

constexpr int kWidth = static_cast<int>(Words::size);
constexpr int kSheet = 16;  // counters
constexpr int kRounds = 10;

// How many groups of kWidth counters go side by side. Measured on Zen 5, in ns per normal for 1, 2, 4:
// AVX-512 0.38, 0.29, 0.52; AVX2 0.82, 0.74, 0.82; SSE2 2.04, 1.88, 1.92.
constexpr int kAtOnce = 2;

// The same bits as another type. (xsimd spells its own differently in 8, 9 and 10.)
template <class To, class From>
inline To bits(From x) {
    return To((typename To::register_type)(static_cast<typename From::register_type>(x)));
}

// a * b + c, fused wherever the ISA can. (xsimd 8's AVX-512 multiplies, then adds.)
inline Floats fma(Floats a, Floats b, Floats c) {
#if defined(__AVX512F__)
    return _mm512_fmadd_ps(a, b, c);
#else
    return xsimd::fma(a, b, c);
#endif
}

// The 64-bit products of the low halves of a's and b's elements.
inline Pairs multiply(Pairs a, Pairs b) {
#if defined(__AVX512F__)
    return _mm512_mul_epu32(a, b);
#elif defined(__AVX2__)
    return _mm256_mul_epu32(a, b);
#elif defined(__SSE2__)
    return _mm_mul_epu32(a, b);
#else
    return vmull_u32(vmovn_u64(a), vmovn_u64(b));
#endif
}

// The four words of some counters, one in each element. The high halves hold anything: multiply() does not
// look at them.
struct Block {
    Pairs word[4];
};

// Word w of kWidth counters, of which `even` holds the even ones and `odd` the others.
inline Words join(const Block& even, const Block& odd, int w) {
    return bits<Words>((even.word[w] & Pairs(0xFFFFFFFFull)) | (odd.word[w] << 32));
}

struct Keys {
    std::uint64_t of[kRounds][2];
};

// Of counters into random words, n blocks side by side. Their words 1, 2 and 3 are the same for a whole row,
// so that the compiler takes two multiplications of the first rounds out of the loop over counters.
template <int n>
inline void philox(Block (&block)[n], const Keys& keys) {
#pragma GCC unroll 10
    for (int round = 0; round < kRounds; ++round)
#pragma GCC unroll 4
        for (int i = 0; i < n; ++i) {
            Pairs(&c)[4] = block[i].word;
            const Pairs a = multiply(c[0], Pairs(std::uint64_t{kPhiloxFactor[0]}));
            const Pairs b = multiply(c[2], Pairs(std::uint64_t{kPhiloxFactor[1]}));
            c[0] = (b >> 32) ^ c[1] ^ Pairs(keys.of[round][0]);
            c[1] = b;
            c[2] = (a >> 32) ^ c[3] ^ Pairs(keys.of[round][1]);
            c[3] = a;
        }
}

inline Floats polynomial(Floats, float last) {
    return Floats(last);
}
// first + x * (second + x * ...)
template <class... Float>
inline Floats polynomial(Floats x, float first, Float... others) {
    return fma(polynomial(x, others...), x, Floats(first));
}

// sqrt(-2 ln u) for u = ((a >> 1) + 1/2) 2^-31, with 2^31 u = 2^k m and m in [sqrt(1/2), sqrt(2)).
// -2 ln(1 + f) / f by a minimax polynomial on that interval: relative error 1.1e-6, hence at most 4.6e-7 in
// the radius, and no loss near u = 1, where k = 31 and the exponent's share is exactly 0.
inline Floats radius(Words a) {
    const Ints scaled = bits<Ints>(xsimd::to_float(bits<Ints>(a >> 1)) + Floats(0.5f));
    // 0x4EB504F3 is 2^31 sqrt(1/2). The exponent of 2 stays where a float has it, 2^23 times too large.
    const Ints power = (scaled - Ints(0x4EB504F3)) & Ints(~0x7FFFFF);
    const Floats f = fma(bits<Floats>(scaled - power), Floats(0x1p-31f), Floats(-1.0f));
    const Floats slope = polynomial(f, -2.00000195f, 1.000022258f, -0.6662901805f, 0.4981948802f,
                                    -0.4099265441f, 0.3733571315f, -0.2379223444f);
    constexpr float kMinusTwoLn2 = -1.38629436112f;
    return xsimd::sqrt(fma(xsimd::to_float(power), Floats(kMinusTwoLn2 * 0x1p-23f), slope * f));
}

// Two normals of two words: r cos t and r sin t with t = 2 pi b / 2^32 = pi (h + an integer), |h| <= 1/2; an
// odd integer changes both signs. Minimax polynomials in h^2, of absolute error 4.7e-8 and 3.5e-9.
inline void box_muller(Words a, Words b, float* first, float* second) {
    const Words sign = (b + Words(0x40000000u)) & Words(0x80000000u);
    const Floats r = bits<Floats>(bits<Words>(radius(a)) ^ sign);
    const Floats h = xsimd::to_float(bits<Ints>(b << 1)) * Floats(0x1p-32f);
    const Floats z = h * h;
    const Floats cosine =
        polynomial(z, 0.9999999535f, -4.934792859f, 4.058411914f, -1.331880162f, 0.2196968001f);
    const Floats sine =
        polynomial(z, 3.141592585f, -5.167707083f, 2.550033915f, -0.5980574949f, 0.07724063562f);
    (r * cosine).store_unaligned(first);
    (r * h * sine).store_unaligned(second);
}

// The normals of kSheet * sheets counters, [sheets, 4, kSheet]. `first` holds the even ones of the first
// kWidth counters.
template <int sheets>
inline void fill_sheets(Block first, const Keys& keys, float* out) {
    constexpr int counters = sheets * kSheet;
    constexpr int n = counters < kAtOnce * kWidth ? counters / kWidth : kAtOnce;
#pragma GCC unroll 4
    for (int c = 0; c < counters; c += n * kWidth) {
        Block block[2 * n];
#pragma GCC unroll 4
        for (int i = 0; i < 2 * n; ++i) {
            block[i] = first;
            block[i].word[0] += Pairs(static_cast<std::uint64_t>(c + i / 2 * kWidth + i % 2));
        }
        philox(block, keys);
#pragma GCC unroll 2
        for (int i = 0; i < n; ++i) {
            const int counter = c + i * kWidth;
            float* at = out + counter / kSheet * 4 * kSheet + counter % kSheet;
#pragma GCC unroll 2
            for (int w = 0; w < 4; w += 2)
                box_muller(join(block[2 * i], block[2 * i + 1], w),
                           join(block[2 * i], block[2 * i + 1], w + 1), at + w * kSheet,
                           at + (w + 1) * kSheet);
        }
    }
}

Keys keys_of(std::uint64_t seed) {
    Keys keys;
    std::uint32_t key[2] = {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)};
    for (int round = 0; round < kRounds; ++round)
        for (int i = 0; i < 2; ++i) {
            keys.of[round][i] = key[i];
            key[i] += kPhiloxStep[i];
        }
    return keys;
}

// 0, 2, 4, ...
Pairs even_counters() {
    alignas(64) std::uint64_t lane[kWidth / 2];
    for (int i = 0; i < kWidth / 2; ++i) lane[i] = 2 * i;
    return Pairs::load_aligned(lane);
}

void fill(std::uint64_t seed, std::uint32_t stream, std::uint64_t first_sample, std::int64_t samples,
          std::int64_t count, float* out) {
    constexpr int sheet = 4 * kSheet;                                                // normals
    constexpr int most = kAtOnce * kWidth > kSheet ? kAtOnce * kWidth / kSheet : 1;  // sheets side by side
    const Keys keys = keys_of(seed);
    for (std::int64_t i = 0; i < samples; ++i, out += count) {
        const std::uint64_t sample = first_sample + i;
        Block first = {{even_counters(), Pairs(std::uint64_t{stream}), Pairs(sample), Pairs(sample >> 32)}};
        std::int64_t done = 0;
        for (; most > 1 && done + most * sheet <= count; done += most * sheet) {
            fill_sheets<most>(first, keys, out + done);
            first.word[0] += Pairs(std::uint64_t{most * kSheet});
        }
        for (; done + sheet <= count; done += sheet) {
            fill_sheets<1>(first, keys, out + done);
            first.word[0] += Pairs(std::uint64_t{kSheet});
        }
        if (done < count) {
            float last[sheet];
            fill_sheets<1>(first, keys, last);
            __builtin_memcpy(out + done, last, (count - done) * sizeof(float));
        }
    }
}

}  // namespace

extern FillNormals JOIN(fill_normals_, SINGLE_LOCATION_ISA);
void JOIN(fill_normals_, SINGLE_LOCATION_ISA)(std::uint64_t seed, std::uint32_t stream,
                                              std::uint64_t first_sample, std::int64_t samples,
                                              std::int64_t count, float* out) {
    fill(seed, stream, first_sample, samples, count, out);
}

}  // namespace single_location
