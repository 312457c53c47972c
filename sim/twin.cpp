// SPDX-License-Identifier: BSD-2-Clause
// A verilated board top, driven at the two pins of its UART.
//
// Ports of the top: clk, rst, rx and tx; CLOCKS_PER_BIT is the UART's divider. Commands come by
// standard input and are answered by standard output, all numbers little-endian:
//   command   cycles (8 bytes), count (4 bytes), bytes to send
//   answer    cycle (8 bytes), bytes still to be sent (4 bytes), count (4 bytes), bytes received
// The bytes are queued behind those that wait. Then the clock runs until bytes have come and the
// line has been high for two bits, or for so many cycles. The end of input ends the program.

#include <cstdint>
#include <cstdio>
#include <deque>
#include <memory>
#include <vector>

#include "Vtwin.h"
#include "verilated.h"

constexpr uint32_t BIT = CLOCKS_PER_BIT;

// Start bit, eight data bits, stop bit; the next byte follows at once.
class Sender {
  public:
    std::deque<uint8_t> queue;
    bool level() {
        if (left_ == 0) {
            if (queue.empty()) return true;
            shift_ = queue.front() << 1 | 1 << 9;
            queue.pop_front();
            left_ = 10 * BIT;
        }
        const bool now = shift_ & 1;
        if (--left_ % BIT == 0) shift_ >>= 1;
        return now;
    }
    bool idle() const { return left_ == 0 && queue.empty(); }

  private:
    uint32_t shift_ = 0, left_ = 0;
};

// Samples in the middle of each bit; a byte without a stop bit is dropped, as by any UART.
class Listener {
  public:
    std::vector<uint8_t> bytes;
    uint32_t high = 0;  // cycles
    void see(bool level) {
        high = level ? high + 1 : 0;
        if (at_ == 0 && level) return;
        at_++;
        if (at_ % BIT != BIT / 2) return;
        const uint32_t bit = at_ / BIT;
        if (bit == 0) {
            if (level) at_ = 0;
        } else if (bit <= 8) {
            byte_ = byte_ >> 1 | level << 7;
        } else {
            if (level) bytes.push_back(byte_);
            at_ = 0;
        }
    }

  private:
    uint32_t at_ = 0;
    uint8_t byte_ = 0;
};

template <class T> bool get(T& value) { return std::fread(&value, sizeof value, 1, stdin) == 1; }
template <class T> void put(const T& value) { std::fwrite(&value, sizeof value, 1, stdout); }

int main(int argc, char** argv) {
    auto context = std::make_unique<VerilatedContext>();
    context->commandArgs(argc, argv);
    auto top = std::make_unique<Vtwin>(context.get());
    Sender sender;
    Listener listener;
    uint64_t cycle = 0;

    top->rx = 1;
    top->rst = 1;
    for (int half = 0; half < 8; half++) {
        top->clk = half & 1;
        top->eval();
    }
    top->rst = 0;

    uint64_t cycles;
    uint32_t count;
    while (get(cycles) && get(count)) {
        for (uint32_t i = 0; i < count; i++) {
            uint8_t byte;
            if (!get(byte)) return 1;
            sender.queue.push_back(byte);
        }
        for (const uint64_t end = cycle + cycles; cycle < end; cycle++) {
            if (!listener.bytes.empty() && listener.high >= 2 * BIT) break;
            top->rx = sender.level();
            top->clk = 0;
            top->eval();
            listener.see(top->tx);
            top->clk = 1;
            top->eval();
        }
        put(cycle);
        put(uint32_t(sender.queue.size()));
        put(uint32_t(listener.bytes.size()));
        std::fwrite(listener.bytes.data(), 1, listener.bytes.size(), stdout);
        std::fflush(stdout);
        listener.bytes.clear();
    }
    top->final();
    return 0;
}
