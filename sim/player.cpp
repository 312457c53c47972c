// SPDX-License-Identifier: BSD-2-Clause
// Plays a file of beats into stream i of a verilated top and writes what leaves by stream o.
//
// The wrapper module around the top has the ports clk, rst, i_payload, i_valid, i_ready, o_payload,
// o_valid and o_ready. IN_BYTES and OUT_BYTES are the bytes of a beat, IN_MASK masks the last one.
// Where LOAD_BYTES is not 0 there is a stream load as well, into which a file is played first.
//
// Arguments, all of the form key=value:
//   in, out         file of input beats; file of output beats, each after its 8-byte cycle stamp
//   load            file of beats that are loaded before the first input beat
//   expect          output beats to wait for; image_in, image_out: beats of one image
//   idle, stall     probability of a pause of the source and of the sink, in 2^-32
//   seed            of the pauses
//   quiet           cycles without any transfer that count as a hang
//   drain           cycles to run after the last expected beat
//   +first_image    how many images were before those of this run
//   vcd, image      waveform file, and the image of this run that it shows (builds with TRACE)
//
// Standard output: "image N" now and then, and one line "end key=value ..." at the end.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "Vplayer.h"
#include "verilated.h"
#ifdef TRACE
#include "verilated_vcd_c.h"
#endif

using Bytes = std::vector<uint8_t>;

// splitmix64: enough for pauses, and the same on every machine.
struct Random {
    uint64_t state;
    bool chance(uint64_t threshold) {
        if (threshold == 0) return false;
        uint64_t z = (state += 0x9E3779B97F4A7C15ull);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
        return ((z ^ (z >> 31)) >> 32) < threshold;
    }
};

// Ports are integers up to 64 bits and arrays of 32-bit words beyond; both are little-endian here.
template <class Port> void put(Port& port, const uint8_t* bytes, size_t size) {
    if constexpr (std::is_integral_v<Port>) port = 0;
    else for (size_t i = 0; i < sizeof(Port) / 4; i++) port[i] = 0;
    std::memcpy(&port, bytes, size);
}

static Bytes read_file(const std::string& name) {
    Bytes content;
    FILE* file = std::fopen(name.c_str(), "rb");
    if (!file) { std::perror(name.c_str()); std::exit(2); }
    std::fseek(file, 0, SEEK_END);
    content.resize(std::ftell(file));
    std::rewind(file);
    size_t got = std::fread(content.data(), 1, content.size(), file);
    std::fclose(file);
    if (got != content.size()) std::exit(2);
    return content;
}

// Plays a file into stream load; false when the top does not take it.
static bool load_all(Vplayer& top, const std::string& name, uint64_t patience) {
#if LOAD_BYTES
    const Bytes beats = name.empty() ? Bytes() : read_file(name);
    uint64_t waited = 0;
    for (size_t at = 0; at < beats.size();) {
        put(top.load_payload, &beats[at], LOAD_BYTES);
        top.load_valid = 1;
        top.clk = 0;
        top.eval();
        const bool taken = top.load_ready;
        top.clk = 1;
        top.eval();
        if (taken) at += LOAD_BYTES;
        waited = taken ? 0 : waited + 1;
        if (waited > patience) return false;
    }
    top.load_valid = 0;
#endif
    return true;
}

class Waves {
  public:
    Waves(Vplayer& top, const std::string& name) {
#ifdef TRACE
        if (!name.empty()) {
            vcd_ = std::make_unique<VerilatedVcdC>();
            top.trace(vcd_.get(), 99);
            vcd_->open(name.c_str());
        }
#endif
    }
    void dump(bool wanted, uint64_t time) {
#ifdef TRACE
        if (wanted && vcd_) vcd_->dump(time);
#endif
    }
    void close() {
#ifdef TRACE
        if (vcd_) vcd_->close();
#endif
    }

  private:
#ifdef TRACE
    std::unique_ptr<VerilatedVcdC> vcd_;
#endif
};

int main(int argc, char** argv) {
    std::map<std::string, std::string> given;
    for (int i = 1; i < argc; i++) {
        std::string argument = argv[i];
        size_t equals = argument.find('=');
        if (equals == std::string::npos) return 2;
        given[argument.substr(0, equals)] = argument.substr(equals + 1);
    }
    auto number = [&](const char* key) { return std::strtoull(given[key].c_str(), nullptr, 10); };
    const uint64_t expect = number("expect"), quiet_limit = number("quiet");
    const uint64_t idle = number("idle"), stall = number("stall"), drain = number("drain");
    const uint64_t image_in = number("image_in"), image_out = number("image_out");
    const uint64_t shown = number("image");
    const Bytes beats = read_file(given["in"]);
    const uint64_t count = beats.size() / IN_BYTES;
    FILE* out = std::fopen(given["out"].c_str(), "wb");
    if (!out) { std::perror(given["out"].c_str()); return 2; }

    auto context = std::make_unique<VerilatedContext>();
    context->commandArgs(argc, argv);  // models read +first_image
#ifdef TRACE
    context->traceEverOn(true);
#endif
    auto top = std::make_unique<Vplayer>(context.get());
    Waves waves(*top, given["vcd"]);
    Random source{number("seed")}, sink{number("seed") ^ 0x5851F42D4C957F2Dull};

    top->i_valid = 0;
    top->o_ready = 0;
#if LOAD_BYTES
    top->load_valid = 0;
#endif
    top->rst = 1;
    for (int half = 0; half < 8; half++) {
        top->clk = half & 1;
        top->eval();
    }
    top->rst = 0;
    if (!load_all(*top, given["load"], quiet_limit)) {
        std::printf("stream load takes nothing\n");
        return 1;
    }

    uint64_t cycle = 0, sent = 0, received = 0, quiet = 0, end = 0, broken = 0;
    bool offering = false, taken = false, stalled = false, hung = false;
    auto told = std::chrono::steady_clock::now();
    uint8_t before[OUT_BYTES], garbage[IN_BYTES];

    for (;; cycle++) {
        // Once offered, a beat stays until it is taken.
        if (!offering && sent < count && !source.chance(idle)) {
            put(top->i_payload, &beats[sent * IN_BYTES], IN_BYTES);
            offering = true;
        } else if (!offering && taken) {
            // Without a beat the payload is the last one's opposite, so that nobody relies on it.
            for (size_t i = 0; i < IN_BYTES; i++) garbage[i] = ~beats[(sent - 1) * IN_BYTES + i];
            garbage[IN_BYTES - 1] &= IN_MASK;
            put(top->i_payload, garbage, IN_BYTES);
        }
        top->i_valid = offering;
        top->o_ready = !sink.chance(stall);
        top->clk = 0;
        top->eval();
        const bool traced = sent >= shown * image_in && received < (shown + 1) * image_out;
        waves.dump(traced, 2 * cycle);

        const bool gives = offering && top->i_ready, takes = top->o_valid && top->o_ready;
        // A beat that waits must stay as it is.
        if (stalled && (!top->o_valid || std::memcmp(before, &top->o_payload, OUT_BYTES)) &&
            !broken)
            broken = cycle + 1;
        stalled = top->o_valid && !top->o_ready;
        if (stalled) std::memcpy(before, &top->o_payload, OUT_BYTES);
        if (takes) {
            if (received < expect) {
                std::fwrite(&cycle, sizeof cycle, 1, out);
                std::fwrite(&top->o_payload, OUT_BYTES, 1, out);
            }
            if (++received == expect) end = cycle + 1;
            if (received % image_out == 0) {
                auto now = std::chrono::steady_clock::now();
                if (now - told > std::chrono::milliseconds(200)) {
                    std::printf("image %llu\n", (unsigned long long)(received / image_out));
                    std::fflush(stdout);
                    told = now;
                }
            }
        }

        top->clk = 1;
        top->eval();
        waves.dump(traced, 2 * cycle + 1);
        if (gives) {
            sent++;
            offering = false;
        }
        taken = gives;
        quiet = gives || takes ? 0 : quiet + 1;
        if (received >= expect && cycle >= end + drain) break;
        if (received < expect && quiet > quiet_limit) { hung = true; break; }
    }

    waves.close();
    top->final();
    if (std::fclose(out)) return 2;
    std::printf("end cycles=%llu sent=%llu received=%llu hung=%d broken=%llu\n",
                (unsigned long long)(hung ? cycle : end), (unsigned long long)sent,
                (unsigned long long)received, hung, (unsigned long long)broken);
    return 0;
}
