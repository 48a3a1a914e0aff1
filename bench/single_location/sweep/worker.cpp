// worker.cpp: a rank that asks rank 0 for jobs and tells it of them.
#include "sweep/worker.hpp"

#include <chrono>
#include <optional>
#include <stdexcept>
#include <utility>

#include "sweep/job.hpp"
#include "sweep/signals.hpp"

namespace single_location {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

class Worker final : public Keeper {
  public:
    Worker(const Sweep& sweep, Ranks& ranks) : sweep_(sweep), ranks_(ranks) {}

    int serve() {
        ranks_.send({0, Kind::ready, 0, {}});
        while (!dismissed_) {
            look();
            if (const auto given = std::exchange(given_, std::nullopt))
                run(*given);
            else if (!dismissed_)
                nap();
        }
        ranks_.send({0, Kind::bye, 0, {}});
        ranks_.flush();
        return status_;
    }

    void share(std::size_t job, double share) override {
        if (Clock::now() - shared_ < kShare) return;
        shared_ = Clock::now();
        const std::string bytes(reinterpret_cast<const char*>(&share), sizeof share);
        ranks_.send({0, Kind::share, static_cast<std::int64_t>(job), bytes});
    }

    void keep(std::size_t job, const std::string& state) override {
        ranks_.send({0, Kind::state, static_cast<std::int64_t>(job), state});
    }

    bool stop_asked() override {
        look();
        return halted_;
    }

  private:
    // How often a person can want to know.
    static constexpr auto kShare = 200ms;

    void run(const Message& given) {
        Message end = run_job(sweep_, static_cast<std::size_t>(given.job), given.bytes, *this);
        if (end.kind == Kind::failed) end.bytes = ranks_.where() + end.bytes;
        try {
            ranks_.send(end);
        } catch (const std::length_error& error) {
            ranks_.send({0, Kind::failed, given.job, error.what()});
        }
    }

    void look() {
        if (Signals::stop_asked() && !std::exchange(told_, true)) ranks_.send({0, Kind::stop, 0, {}});
        while (auto message = ranks_.receive()) {
            if (message->kind == Kind::job) {
                given_ = std::move(message);
                continue;
            }
            halted_ = true;
            if (message->kind != Kind::dismiss) continue;
            dismissed_ = true;
            status_ = static_cast<int>(message->job);
        }
    }

    const Sweep& sweep_;
    Ranks& ranks_;
    std::optional<Message> given_;
    Clock::time_point shared_{};
    bool told_ = false, halted_ = false, dismissed_ = false;
    int status_ = 1;
};

}  // namespace

int serve(const Sweep& sweep, Ranks& ranks) noexcept {
    return Worker(sweep, ranks).serve();
}

}  // namespace single_location
