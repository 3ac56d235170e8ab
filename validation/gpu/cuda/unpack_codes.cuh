// Ways to turn packed low-bit words into half2 values, each with the exact value that the host expects.
//
// A converter takes one 32-bit word and yields VALUES halves. "Bit tricks" put the code into the mantissa of a half
// whose exponent is fixed (LOP3 or PRMT) and subtract the bias; "convert" uses the conversion instructions.
#pragma once

#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include "device.cuh"

__device__ inline __half2 half2_of(uint32_t bits) { return *reinterpret_cast<const __half2*>(&bits); }
__device__ inline uint32_t bits_of(__half2 h) { return *reinterpret_cast<const uint32_t*>(&h); }

// (w & mask) | exponent in one instruction
__device__ inline uint32_t mask_or(uint32_t w, uint32_t mask, uint32_t exponent) {
    uint32_t r;
    asm("lop3.b32 %0, %1, %2, %3, 0xea;" : "=r"(r) : "r"(w), "r"(mask), "r"(exponent));
    return r;
}

// Nibbles 0..7 of a word as signed offset-binary (code - 8), in the order 0 4, 1 5, 2 6, 3 7.
struct Int4BitTricks {
    static constexpr int VALUES = 8;
    static constexpr const char *format = "int4", *method = "lop3";
    __device__ static void unpack(uint32_t w, uint32_t* out) {
        const __half2 low_bias = half2_of(0x64086408), scale = half2_of(0x2c002c00), high_bias = half2_of(0xd480d480);
        const uint32_t upper = w >> 8;  // 0x6400 is 1024; a nibble in bits 4..7 counts 16 per step
        out[0] = bits_of(__hsub2(half2_of(mask_or(w, 0x000f000f, 0x64006400)), low_bias));
        out[1] = bits_of(__hfma2(half2_of(mask_or(w, 0x00f000f0, 0x64006400)), scale, high_bias));
        out[2] = bits_of(__hsub2(half2_of(mask_or(upper, 0x000f000f, 0x64006400)), low_bias));
        out[3] = bits_of(__hfma2(half2_of(mask_or(upper, 0x00f000f0, 0x64006400)), scale, high_bias));
    }
    static float expected(uint32_t w, int i) {
        const int nibble = i / 2 + 4 * (i % 2);
        return static_cast<float>((w >> (4 * nibble)) & 15) - 8.0f;
    }
};

struct Int4Convert {
    static constexpr int VALUES = 8;
    static constexpr const char *format = "int4", *method = "convert";
    __device__ static void unpack(uint32_t w, uint32_t* out) {
#pragma unroll
        for (int i = 0; i < 4; ++i)
            out[i] = bits_of(__halves2half2(__int2half_rn(static_cast<int>((w >> (8 * i)) & 15) - 8),
                                            __int2half_rn(static_cast<int>((w >> (8 * i + 4)) & 15) - 8)));
    }
    static float expected(uint32_t w, int i) { return static_cast<float>((w >> (4 * i)) & 15) - 8.0f; }
};

struct Int8BitTricks {
    static constexpr int VALUES = 4;
    static constexpr const char *format = "int8", *method = "prmt";
    __device__ static void unpack(uint32_t w, uint32_t* out) {
        const uint32_t offset_binary = w ^ 0x80808080u;
        const __half2 bias = half2_of(0x64806480);  // 1024 + 128
        out[0] = bits_of(__hsub2(half2_of(__byte_perm(offset_binary, 0x64646464, 0x4140)), bias));
        out[1] = bits_of(__hsub2(half2_of(__byte_perm(offset_binary, 0x64646464, 0x4342)), bias));
    }
    static float expected(uint32_t w, int i) { return static_cast<float>(static_cast<int8_t>(w >> (8 * i))); }
};

struct Int8Convert {
    static constexpr int VALUES = 4;
    static constexpr const char *format = "int8", *method = "convert";
    __device__ static void unpack(uint32_t w, uint32_t* out) {
#pragma unroll
        for (int i = 0; i < 2; ++i)
            out[i] = bits_of(__halves2half2(__int2half_rn(static_cast<int8_t>(w >> (16 * i))),
                                            __int2half_rn(static_cast<int8_t>(w >> (16 * i + 8)))));
    }
    static float expected(uint32_t w, int i) { return Int8BitTricks::expected(w, i); }
};

// value of an FP8 code with `mantissa` bits, as a plain formula; the codes that are not finite are left out by the check
inline float fp8_value(uint32_t code, int mantissa) {
    const int exponent_bits = 7 - mantissa, bias = (1 << (exponent_bits - 1)) - 1;
    const int exponent = (code & 127) >> mantissa, fraction = code & ((1 << mantissa) - 1);
    float value = static_cast<float>(fraction + (exponent ? 1 << mantissa : 0));
    for (int e = (exponent ? exponent : 1) - bias - mantissa; e != 0; e += e < 0 ? 1 : -1) value *= e < 0 ? 0.5f : 2.0f;
    return code & 128 ? -value : value;
}

struct E4m3Convert {
    static constexpr int VALUES = 4;
    static constexpr const char *format = "fp8_e4m3", *method = "convert x2";
    __device__ static void unpack(uint32_t w, uint32_t* out) {
        const __half2_raw low = __nv_cvt_fp8x2_to_halfraw2(static_cast<__nv_fp8x2_storage_t>(w), __NV_E4M3);
        const __half2_raw high = __nv_cvt_fp8x2_to_halfraw2(static_cast<__nv_fp8x2_storage_t>(w >> 16), __NV_E4M3);
        out[0] = bits_of(__half2(low));
        out[1] = bits_of(__half2(high));
    }
    static float expected(uint32_t w, int i) { return fp8_value((w >> (8 * i)) & 255, 3); }
};

// E4M3 by shifting exponent and mantissa into a half and rescaling by 2^8; exact for all finite codes.
struct E4m3BitTricks {
    static constexpr int VALUES = 4;
    static constexpr const char *format = "fp8_e4m3", *method = "lop3";
    __device__ static void unpack(uint32_t w, uint32_t* out) {
        const __half2 rescale = half2_of(0x5c005c00);  // 256
        const uint32_t odd = w & 0xff00ff00u, even = (w << 8) & 0xff00ff00u;
        const uint32_t a = mask_or(even >> 1, 0x3f803f80, even & 0x80008000), b = mask_or(odd >> 1, 0x3f803f80, odd & 0x80008000);
        out[0] = bits_of(__hmul2(half2_of(a), rescale));  // bytes 0 and 2
        out[1] = bits_of(__hmul2(half2_of(b), rescale));  // bytes 1 and 3
    }
    static float expected(uint32_t w, int i) { return fp8_value((w >> (8 * (i / 2 + 2 * (i % 2)))) & 255, 3); }
};

struct E5m2BitTricks {
    static constexpr int VALUES = 4;
    static constexpr const char *format = "fp8_e5m2", *method = "prmt";
    __device__ static void unpack(uint32_t w, uint32_t* out) {
        out[0] = __byte_perm(w, 0, 0x1404);  // a half is an E5M2 byte above a zero byte
        out[1] = __byte_perm(w, 0, 0x3424);
    }
    static float expected(uint32_t w, int i) { return fp8_value((w >> (8 * i)) & 255, 2); }
};
