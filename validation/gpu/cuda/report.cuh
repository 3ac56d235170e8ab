// Rows as JSON lines on standard output: one measurement a line, flushed at once, so that a cut run keeps what it has.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

struct Spread {
    double median, low, high;
};

inline Spread spread_of(std::vector<double> samples) {
    std::sort(samples.begin(), samples.end());
    const size_t n = samples.size();
    const double median = n % 2 ? samples[n / 2] : 0.5 * (samples[n / 2 - 1] + samples[n / 2]);
    return {median, samples.front(), samples.back()};
}

// Set once per section by measure_sm_clock(); stamped into every row that follows.
struct RowClock {
    double mhz = 0.0;
};

class Row {
  public:
    explicit Row(const char* measurement) : text_("{\"measurement\": \"" + std::string(measurement) + "\", \"params\": {") {}

    Row& text(const char* key, const char* value) { return raw(key, "\"" + std::string(value) + "\""); }
    Row& count(const char* key, uint64_t value) { return raw(key, std::to_string(value)); }

    // `samples` are all repeats of one value in `unit`; `ok` is the outcome of the correctness check made before timing.
    void emit(const std::vector<double>& samples, const char* unit, bool ok, const RowClock& clock) {
        const Spread s = spread_of(samples);
        char tail[320];
        std::snprintf(tail, sizeof tail,
                      "}, \"value\": %.9g, \"unit\": \"%s\", \"repeats\": %zu, \"min\": %.9g, \"max\": %.9g, "
                      "\"check\": \"%s\", \"sm_clock_mhz\": %.1f}",
                      s.median, unit, samples.size(), s.low, s.high, ok ? "ok" : "failed", clock.mhz);
        std::printf("%s%s\n", text_.c_str(), tail);
        std::fflush(stdout);
    }

  private:
    Row& raw(const char* key, const std::string& value) {
        text_ += (first_ ? "\"" : ", \"") + std::string(key) + "\": " + value;
        first_ = false;
        return *this;
    }
    std::string text_;
    bool first_ = true;
};

// A row that says why something was not measured.
inline void emit_skip(const char* measurement, const char* reason) {
    std::printf("{\"measurement\": \"%s\", \"params\": {}, \"check\": \"skipped\", \"note\": \"%s\"}\n", measurement, reason);
    std::fflush(stdout);
}
