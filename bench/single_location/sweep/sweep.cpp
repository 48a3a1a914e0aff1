// sweep.cpp: whether a run starts, goes on, or is done already.
#include "sweep/sweep.hpp"

#include <cstdio>
#include <exception>
#include <hone/hone.hpp>
#include <optional>

#include "sweep/checkpoint.hpp"
#include "sweep/display.hpp"
#include "sweep/files.hpp"
#include "sweep/leader.hpp"
#include "sweep/ranks.hpp"
#include "sweep/signals.hpp"
#include "sweep/worker.hpp"

namespace single_location {
namespace {

using nlohmann::json;

// As it reads back from the files.
json identity_of(const Sweep& sweep) {
    const json identity = {
        {"experiment", sweep.name}, {"hone", hone_version()}, {"settings", sweep.settings}};
    return json::parse(identity.dump());
}

// Of the complete result in `out`; nothing where there is none.
std::optional<json> complete_result(const Sweep& sweep, const std::filesystem::path& out) {
    const std::optional<std::string> text = read_file(out / (sweep.name + ".json"));
    if (!text || !std::filesystem::is_regular_file(out / (sweep.name + ".csv"))) return {};
    const json whole = json::parse(*text, nullptr, false);
    const bool complete = whole.is_object() && whole.value("complete", json()) == json(true) &&
                          whole.contains("hone") && whole.contains("settings");
    return complete ? std::optional(whole) : std::nullopt;
}

// "" where the runs are the same.
std::string conflict(const json& there, const json& here, const std::filesystem::path& out) {
    if (there["hone"] != here["hone"])
        return "--resume: " + out.string() + " holds a run of hone " + there["hone"].dump() +
               ", and this is hone " + here["hone"].dump();
    const std::string differs = difference(there["settings"], here["settings"]);
    return differs.empty() ? ""
                           : "--resume: " + out.string() + " holds a run with other settings: " + differs;
}

enum class Start { fresh, resumed, complete, refused };

Start how_to_start(const Sweep& sweep, const std::filesystem::path& out, bool resume, const json& identity,
                   const Checkpoint& checkpoint, Display& display) {
    if (!resume) {
        if (checkpoint.exists())
            display.say("discarding the unfinished run in " + out.string() +
                        "; --resume would have gone on with it");
        return Start::fresh;
    }
    std::optional<json> there = checkpoint.identity();
    const bool unfinished = there.has_value();
    if (!there) there = complete_result(sweep, out);
    if (!there) {
        display.say("--resume: there is nothing to resume in " + out.string() +
                    ", so this starts from the beginning");
        return Start::fresh;
    }
    if (const std::string sentence = conflict(*there, identity, out); !sentence.empty()) {
        display.say(sentence);
        return Start::refused;
    }
    if (unfinished) return Start::resumed;
    display.say("--resume: " + out.string() + " holds the complete result already");
    return Start::complete;
}

// Rank 0's run.
int lead(const Sweep& sweep, const std::filesystem::path& out, bool resume, Ranks& ranks) {
    const json identity = identity_of(sweep);
    Display display(sweep);
    Checkpoint checkpoint(sweep, out, [&](const std::string& sentence) { display.say(sentence); });
    const Start start = how_to_start(sweep, out, resume, identity, checkpoint, display);
    if (start == Start::complete) return 0;
    if (start == Start::refused) return 1;
    try {
        checkpoint.begin(identity, start == Start::fresh);
    } catch (const std::exception& error) {
        display.say("--out: nothing can be written in " + out.string() + ": " + error.what());
        return 1;
    }
    return Leader(sweep, out, identity, checkpoint, display, ranks).lead();
}

}  // namespace

int run(const Sweep& sweep, const std::filesystem::path& out, bool resume) {
    Ranks* ranks = nullptr;
    int status = 1;
    try {
        ranks = &Ranks::get();
        // Here, for MPI may have its own until it has started.
        const Signals signals;
        if (ranks->rank() > 0) return serve(sweep, *ranks);
        status = lead(sweep, out, resume, *ranks);
    } catch (const std::exception& error) {
        if (is_first_process()) std::fprintf(stderr, "%s: %s\n", sweep.name.c_str(), error.what());
    }
    if (ranks) dismiss(*ranks, status);
    return status;
}

bool is_first_process() {
    const std::optional<Launch> launched = launch();
    return !launched || launched->rank == 0;
}

}  // namespace single_location
