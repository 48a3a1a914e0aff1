// job.cpp: the Progress that a job sees, and how a job ends.
#include "sweep/job.hpp"

#include <algorithm>
#include <new>
#include <optional>
#include <thread>

#include "sweep/files.hpp"
#include "sweep/signals.hpp"

namespace single_location {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

class Running final : public Progress {
  public:
    Running(const Sweep& sweep, std::size_t job, const std::string& state, Keeper& keeper)
        : job_(job), save_every_(sweep.save_seconds), keeper_(keeper) {
        if (!state.empty()) saved_ = nlohmann::json::from_cbor(state);
    }

    void done(double share) override {
        if (Clock::now() - shared_ < kLook) return;
        shared_ = Clock::now();
        keeper_.share(job_, std::clamp(share, 0.0, 1.0));
        if (!stop_asked()) return;
        if (!stopping_) stopping_ = Clock::now();
        if (!saves_ || Clock::now() - *stopping_ >= kPatience) throw Interrupted{};
    }

    bool save_due() override {
        saves_ = true;
        return stop_asked() || Clock::now() - last_save_ >= save_every_;
    }

    void save(const nlohmann::json& state) override {
        std::string bytes;
        nlohmann::json::to_cbor(state, bytes);
        keeper_.keep(job_, bytes);
        last_save_ = Clock::now();
        if (stop_asked()) throw Interrupted{};
    }

    const nlohmann::json& saved() const override { return saved_; }

  private:
    // A look at the messages costs about a microsecond.
    static constexpr auto kLook = 1ms;
    // How long a job that saves may take to get there.
    static constexpr auto kPatience = 250ms;

    bool stop_asked() {
        if (Clock::now() - looked_ >= kLook) {
            looked_ = Clock::now();
            stop_ = keeper_.stop_asked();
        }
        return stop_ || Signals::stop_asked();
    }

    std::size_t job_;
    std::chrono::duration<double> save_every_;
    Keeper& keeper_;
    nlohmann::json saved_;
    Clock::time_point last_save_ = Clock::now(), looked_{}, shared_{};
    std::optional<Clock::time_point> stopping_;
    bool stop_ = false, saves_ = false;
};

}  // namespace

Message run_job(const Sweep& sweep, std::size_t job, const std::string& state, Keeper& keeper) {
    Message end{0, Kind::failed, static_cast<std::int64_t>(job), {}};
    try {
        Running running(sweep, job, state, keeper);
        end.bytes = encode(sweep.jobs[job].run(running));
        decode(end.bytes, sweep.columns.size());
        end.kind = Kind::finished;
    } catch (const Interrupted&) {
        end.kind = Kind::interrupted;
    } catch (const std::bad_alloc&) {
        end.bytes = "there is not enough memory for it";
    } catch (const std::exception& error) {
        end.bytes = error.what();
    } catch (...) {
        end.bytes = "it threw what is no std::exception";
    }
    return end;
}

void nap() {
    std::this_thread::sleep_for(2ms);
}

}  // namespace single_location
