// What the runtime says of the device, as rows.
#include "device.cuh"

int main() {
    const Gpu gpu = open_gpu();
    const RowClock clock = measure_sm_clock();
    const auto row = [&](const char* what, double value, const char* unit) {
        Row("device_property").text("variant", what).emit({value}, unit, true, clock);
    };
    row("multiprocessors", gpu.sms, "count");
    row("L2", static_cast<double>(gpu.l2_bytes), "bytes");
    row("shared memory per block, opt-in", static_cast<double>(gpu.shared_bytes_per_block), "bytes");
    row("free device memory", static_cast<double>(gpu.free_bytes), "bytes");
    row("SM clock after a spin", clock.mhz, "MHz");
    return 0;
}
