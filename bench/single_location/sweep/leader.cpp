// leader.cpp: rank 0 hands out jobs, keeps what comes back, and writes it down.
#include "sweep/leader.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "sweep/files.hpp"
#include "sweep/signals.hpp"

namespace single_location {
namespace {

using nlohmann::json;

constexpr int kInterruptedStatus = 130;

std::string count(std::size_t n) {
    return std::to_string(n) + (n == 1 ? " job" : " jobs");
}

}  // namespace

Leader::Leader(const Sweep& sweep, const std::filesystem::path& out, const json& identity,
               Checkpoint& checkpoint, Display& display, Ranks& ranks)
    : sweep_(sweep),
      out_(out),
      identity_(identity),
      checkpoint_(checkpoint),
      display_(display),
      ranks_(ranks),
      results_(sweep.jobs.size()),
      idle_(static_cast<std::size_t>(ranks.size()), false) {
    load();
}

// What is finished, and in which order the rest is computed: on one process that of the rows.
void Leader::load() {
    for (std::size_t job = 0; job < results_.size(); ++job) {
        if (const std::optional<std::string> bytes = checkpoint_.result(job)) {
            try {
                results_[job] = decode(*bytes, sweep_.columns.size());
            } catch (const std::exception& error) {
                display_.say("warning: " + sweep_.jobs[job].name + " is computed again: " + error.what());
            }
        }
        if (!results_[job]) {
            waiting_.push_back(job);
            continue;
        }
        ++finished_;
        display_.finished_earlier(job);
    }
    if (finished_ > 0)
        display_.say("resumed: " + std::to_string(finished_) + " of " + std::to_string(results_.size()) +
                     " done");
    if (ranks_.size() > 1)
        std::stable_sort(waiting_.begin(), waiting_.end(), [&](std::size_t a, std::size_t b) {
            return sweep_.jobs[a].cost > sweep_.jobs[b].cost;
        });
}

int Leader::lead() {
    while (true) {
        stop_asked();
        if (!stop_ && !waiting_.empty())
            run_here();
        else if (all_idle())
            return conclude();
        else
            nap();
    }
}

bool Leader::stop_asked() {
    while (const std::optional<Message> message = ranks_.receive()) see_to(*message);
    if (Signals::stop_asked()) stop();
    if (!stop_) hand_out();
    return stop_;
}

// The files are written now: what sent the signal may not wait for the jobs.
void Leader::stop() {
    if (std::exchange(stop_, true)) return;
    for (int rank = 1; rank < ranks_.size(); ++rank) ranks_.send({rank, Kind::halt, 0, {}});
    try {
        write(false);
    } catch (const std::exception& error) {
        display_.say(error.what());
    }
    display_.say("stopping as soon as what runs is saved");
}

void Leader::share(std::size_t job, double share) {
    display_.shared(job, share);
}

void Leader::keep(std::size_t job, const std::string& state) {
    checkpoint_.keep_state(job, state);
}

Message Leader::take(int rank) {
    const std::size_t job = waiting_.front();
    waiting_.pop_front();
    std::optional<std::string> state = checkpoint_.state(job);
    display_.started(job, state.has_value());
    return {rank, Kind::job, static_cast<std::int64_t>(job), std::move(state).value_or("")};
}

void Leader::run_here() {
    const Message given = take(0);
    Message end = run_job(sweep_, static_cast<std::size_t>(given.job), given.bytes, *this);
    if (end.kind == Kind::failed) end.bytes = ranks_.where() + end.bytes;
    ended(end);
}

void Leader::hand_out() {
    for (int rank = 1; rank < ranks_.size() && !waiting_.empty(); ++rank)
        if (idle_[static_cast<std::size_t>(rank)]) {
            idle_[static_cast<std::size_t>(rank)] = false;
            ranks_.send(take(rank));
        }
}

void Leader::see_to(const Message& message) {
    const auto job = static_cast<std::size_t>(message.job);
    double done = 0;
    switch (message.kind) {
        case Kind::share:
            std::memcpy(&done, message.bytes.data(), sizeof done);
            return share(job, done);
        case Kind::state:
            return keep(job, message.bytes);
        case Kind::stop:
            return stop();
        case Kind::finished:
        case Kind::failed:
        case Kind::interrupted:
            ended(message);
            [[fallthrough]];
        case Kind::ready:
            idle_[static_cast<std::size_t>(message.rank)] = true;
            return;
        default:
            return;
    }
}

// All results are decoded, those of this process too, so that nothing depends on where they come from.
void Leader::ended(const Message& message) {
    const auto job = static_cast<std::size_t>(message.job);
    switch (message.kind) {
        case Kind::finished:
            results_[job] = decode(message.bytes, sweep_.columns.size());
            ++finished_;
            checkpoint_.keep_result(job, message.bytes);
            return display_.finished(job);
        case Kind::failed:
            failed_[job] = message.bytes;
            display_.say(sweep_.jobs[job].name + " failed: " + message.bytes);
            return display_.stopped(job, true);
        default:
            return display_.stopped(job, false);
    }
}

bool Leader::all_idle() const {
    return std::all_of(idle_.begin() + 1, idle_.end(), [](bool idle) { return idle; });
}

int Leader::conclude() {
    const bool complete = finished_ == results_.size();
    write(complete);
    if (complete) {
        checkpoint_.remove();
        display_.say("wrote " + (out_ / sweep_.name).string() + ".csv and .json: " + count(finished_) + ", " +
                     duration(display_.elapsed()));
        return 0;
    }
    const std::string of_all = " of " + std::to_string(results_.size());
    if (!failed_.empty())
        display_.say(std::to_string(failed_.size()) + of_all + " failed; --resume will try " +
                     (failed_.size() == 1 ? "it" : "them") + " again");
    if (!stop_) return 1;
    display_.say("interrupted: " + std::to_string(finished_) + of_all + " done; add --resume to go on");
    return kInterruptedStatus;
}

void Leader::write(bool complete) {
    json whole = identity_;
    whole["complete"] = complete;
    whole["summary"] = nullptr;
    if (complete && sweep_.summarise) {
        std::vector<Result> all;
        for (const std::optional<Result>& result : results_) all.push_back(*result);
        whole["summary"] = sweep_.summarise(all);
    }
    for (const auto& [job, sentence] : failed_) whole["failed"][sweep_.jobs[job].name] = sentence;
    replace_file(out_ / (sweep_.name + ".csv"), csv_text(sweep_.columns, results_));
    replace_file(out_ / (sweep_.name + ".json"),
                 whole.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
}

void dismiss(Ranks& ranks, int status) {
    for (int rank = 1; rank < ranks.size(); ++rank) ranks.send({rank, Kind::dismiss, status, {}});
    for (int left = ranks.size() - 1; left > 0;) {
        const std::optional<Message> message = ranks.receive();
        if (!message) nap();
        if (message && message->kind == Kind::bye) --left;
    }
    ranks.flush();
}

}  // namespace single_location
