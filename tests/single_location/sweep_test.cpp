// sweep_test.cpp: what a sweep writes, keeps, refuses and resumes, in one process.
#include "sweep/sweep.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "sweep/files.hpp"
#include "sweep/job.hpp"

namespace single_location {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// A directory of the test's own, and what its runs say on stderr.
class SweepTest : public testing::Test {
  protected:
    void SetUp() override {
        const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
        out = fs::path(testing::TempDir()) / ("sweep_test_" + std::to_string(getpid()) + test.name());
        fs::remove_all(out);
        // A shell's background job ignores it.
        signal(SIGINT, SIG_DFL);
    }
    void TearDown() override { fs::remove_all(out); }

    int run(const Sweep& sweep, bool resume = false) {
        testing::internal::CaptureStderr();
        const int status = single_location::run(sweep, out, resume);
        said = testing::internal::GetCapturedStderr();
        return status;
    }
    bool says(const std::string& words) const { return said.find(words) != std::string::npos; }
    std::string csv() const { return read_file(out / "map.csv").value_or("none"); }
    json summary() const { return json::parse(read_file(out / "map.json").value_or("null")); }
    bool unfinished() const { return fs::exists(out / "map.checkpoint"); }
    fs::path kept(const std::string& name) const { return out / "map.checkpoint" / name; }

    fs::path out;
    std::string said;
};

// What happens to jobs, and what they did.
struct Events {
    int throwing = -1, interrupting = -1;  // the job, half-way
    bool saves = true;
    std::vector<int> begun = {};  // the jobs
    std::vector<int> steps = {};  // the first of each
};

constexpr int kSteps = 8;

Sweep a_sweep(Events& events, int jobs = 5) {
    Sweep sweep;
    sweep.name = "map";
    sweep.columns = {"job", "name", "x"};
    sweep.settings = {{"dim", 1000}, {"seed", 1}, {"model", {{"nu", 2.0}}}};
    for (int job = 0; job < jobs; ++job)
        sweep.jobs.push_back(
            {"nu 2/" + std::to_string(job), 1.0 + job, [job, &events](Progress& progress) {
                 const json& saved = progress.saved();
                 int step = saved.is_null() ? 0 : saved.at("step").get<int>();
                 double x = saved.is_null() ? 0.1 * (job + 1) : saved.at("x").get<double>();
                 events.begun.push_back(job);
                 events.steps.push_back(step);
                 for (; step < kSteps; ++step) {
                     if (step == kSteps / 2 && job == events.throwing)
                         throw std::runtime_error("x is no number");
                     if (step == kSteps / 2 && job == events.interrupting) raise(SIGINT);
                     progress.done(static_cast<double>(step) / kSteps);
                     if (events.saves && progress.save_due()) progress.save({{"step", step}, {"x", x}});
                     x = 3.9 * x * (1 - x);
                 }
                 return Result{{{std::int64_t{job}, "a", x}, {std::int64_t{job}, "b", -x}}, {{"x", x}}};
             }});
    sweep.summarise = [](const std::vector<Result>& results) {
        json all = json::array();
        for (const Result& result : results) all.push_back(result.summary.at("x"));
        return json{{"x", all}};
    };
    return sweep;
}

TEST_F(SweepTest, rows_are_in_the_order_of_the_jobs) {
    Events events;
    ASSERT_EQ(run(a_sweep(events, 3)), 0) << said;
    std::vector<std::string> begins;
    std::istringstream lines(csv());
    for (std::string line; std::getline(lines, line);) begins.push_back(line.substr(0, 3));
    EXPECT_EQ(begins, (std::vector<std::string>{"job", "0,a", "0,b", "1,a", "1,b", "2,a", "2,b"}));
    const json whole = summary();
    EXPECT_EQ(whole["experiment"], "map");
    EXPECT_EQ(whole["settings"]["model"]["nu"], 2.0);
    EXPECT_EQ(whole["complete"], true);
    EXPECT_EQ(whole["summary"]["x"].size(), 3u);
    EXPECT_TRUE(whole["hone"].is_string());
    EXPECT_FALSE(unfinished());
    EXPECT_TRUE(says("[1/3] nu 2/0: ")) << said;
}

TEST_F(SweepTest, others_run_where_a_job_throws_and_resume_tries_it_again) {
    Events events;
    ASSERT_EQ(run(a_sweep(events)), 0);
    const std::string undisturbed = csv(), json_undisturbed = summary().dump();

    events = {.throwing = 2};
    EXPECT_EQ(run(a_sweep(events)), 1);
    EXPECT_TRUE(says("nu 2/2 failed: x is no number")) << said;
    EXPECT_TRUE(says("1 of 5 failed; --resume will try it again")) << said;
    EXPECT_EQ(events.begun.size(), 5u);
    EXPECT_EQ(summary()["complete"], false);
    EXPECT_EQ(summary()["failed"]["nu 2/2"], "x is no number");

    events = {};
    EXPECT_EQ(run(a_sweep(events), true), 0);
    EXPECT_EQ(events.begun, std::vector<int>{2});
    EXPECT_EQ(csv(), undisturbed);
    EXPECT_EQ(summary().dump(), json_undisturbed);
    EXPECT_FALSE(unfinished());
}

TEST_F(SweepTest, an_interrupted_job_goes_on_where_it_saved) {
    Events events;
    ASSERT_EQ(run(a_sweep(events)), 0);
    const std::string undisturbed = csv(), json_undisturbed = summary().dump();

    events = {.interrupting = 3};
    EXPECT_EQ(run(a_sweep(events)), 130);
    EXPECT_TRUE(says("interrupted: 3 of 5 done; add --resume to go on")) << said;
    EXPECT_EQ(summary()["complete"], false);
    EXPECT_EQ(csv(), undisturbed.substr(0, undisturbed.find("\n3,a") + 1));
    EXPECT_TRUE(fs::exists(kept("3.state")));

    events = {};
    EXPECT_EQ(run(a_sweep(events), true), 0);
    EXPECT_TRUE(says("resumed: 3 of 5 done")) << said;
    EXPECT_EQ(events.begun, (std::vector<int>{3, 4}));
    EXPECT_EQ(events.steps, (std::vector<int>{kSteps / 2, 0}));
    EXPECT_EQ(csv(), undisturbed);
    EXPECT_EQ(summary().dump(), json_undisturbed);
}

TEST_F(SweepTest, a_job_that_does_not_save_stops_too) {
    Events events{.interrupting = 1, .saves = false};
    Sweep sweep = a_sweep(events);
    // done() looks for a stop every millisecond.
    sweep.jobs[1].run = [](Progress& progress) -> Result {
        raise(SIGTERM);
        while (true) progress.done(0.5);
    };
    EXPECT_EQ(run(sweep), 130);
    EXPECT_TRUE(says("interrupted: 1 of 5 done")) << said;
}

TEST_F(SweepTest, handlers_are_as_before_afterwards_and_what_is_ignored_stays_so) {
    struct sigaction before, after;
    signal(SIGTERM, SIG_IGN);
    sigaction(SIGINT, nullptr, &before);
    Events events{.interrupting = 1};
    EXPECT_EQ(run(a_sweep(events)), 130);
    sigaction(SIGINT, nullptr, &after);
    EXPECT_EQ(before.sa_handler, after.sa_handler);
    events = {};
    Sweep sweep = a_sweep(events);
    sweep.jobs[2].run = [job = sweep.jobs[2].run](Progress& progress) {
        raise(SIGTERM);
        return job(progress);
    };
    EXPECT_EQ(run(sweep, true), 0) << said;
    EXPECT_EQ(signal(SIGTERM, SIG_DFL), SIG_IGN);
}

TEST_F(SweepTest, jobs_save_every_so_often) {
    Events events{.throwing = 0};
    Sweep sweep = a_sweep(events, 1);
    sweep.save_seconds = 0;
    EXPECT_EQ(run(sweep), 1);
    events = {};
    EXPECT_EQ(run(a_sweep(events, 1), true), 0);
    EXPECT_EQ(events.steps, std::vector<int>{kSteps / 2 - 1});
}

TEST_F(SweepTest, resume_refuses_other_settings) {
    Events events{.interrupting = 1};
    ASSERT_EQ(run(a_sweep(events)), 130);
    const std::string kept_csv = csv();
    for (const bool complete : {false, true}) {
        Sweep other = a_sweep(events);
        other.settings["dim"] = 500;
        events = {};
        EXPECT_EQ(run(other, true), 1);
        EXPECT_TRUE(says("--resume: " + out.string() +
                         " holds a run with other settings: dim is 1000 there and 500 here"))
            << said;
        EXPECT_TRUE(events.begun.empty());
        EXPECT_EQ(unfinished(), !complete);
        EXPECT_EQ(run(a_sweep(events), true), 0);
    }
}

TEST_F(SweepTest, a_complete_result_is_recognised) {
    Events events;
    ASSERT_EQ(run(a_sweep(events)), 0);
    events = {};
    EXPECT_EQ(run(a_sweep(events), true), 0);
    EXPECT_TRUE(says("holds the complete result already")) << said;
    EXPECT_TRUE(events.begun.empty());
}

TEST_F(SweepTest, without_resume_the_checkpoint_is_discarded) {
    Events events{.interrupting = 3};
    ASSERT_EQ(run(a_sweep(events)), 130);
    events = {};
    EXPECT_EQ(run(a_sweep(events)), 0);
    EXPECT_TRUE(says("discarding the unfinished run")) << said;
    EXPECT_EQ(events.begun.size(), 5u);
    EXPECT_EQ(std::set<int>(events.steps.begin(), events.steps.end()), std::set<int>{0});
}

TEST_F(SweepTest, nothing_to_resume_is_said) {
    Events events;
    EXPECT_EQ(run(a_sweep(events), true), 0);
    EXPECT_TRUE(says("there is nothing to resume in")) << said;
    EXPECT_EQ(events.begun.size(), 5u);
}

// Each file of a checkpoint, cut at several lengths, and with a byte changed.
TEST_F(SweepTest, damaged_checkpoints_are_computed_again) {
    Events events;
    ASSERT_EQ(run(a_sweep(events)), 0);
    const std::string undisturbed = csv();
    for (const std::string name : {"1.result", "3.state", "run.json"})
        for (const double where : {0.0, 0.1, 0.5, 0.95, -0.5}) {
            events = {.interrupting = 3};
            ASSERT_EQ(run(a_sweep(events)), 130);
            std::string text = read_file(kept(name)).value();
            ASSERT_FALSE(text.empty());
            const auto n = static_cast<std::size_t>(std::abs(where) * static_cast<double>(text.size()));
            if (where < 0 && name != "run.json")
                text[n] ^= 1;
            else
                text.resize(n);
            std::ofstream(kept(name), std::ios::binary) << text;
            events = {};
            EXPECT_EQ(run(a_sweep(events), true), 0) << name << " " << where << "\n" << said;
            EXPECT_TRUE(says("warning: ")) << name << " " << where << "\n" << said;
            EXPECT_EQ(csv(), undisturbed) << name << " " << where;
            const std::size_t again = name == "1.result" ? 3 : name == "3.state" ? 2 : 5;
            EXPECT_EQ(events.begun.size(), again) << name << " " << where;
        }
}

TEST_F(SweepTest, an_unwritable_out_is_said_before_any_work) {
    std::ofstream(out) << "a file, not a directory";
    Events events;
    EXPECT_EQ(run(a_sweep(events)), 1);
    EXPECT_TRUE(says("--out: nothing can be written in " + out.string())) << said;
    EXPECT_TRUE(events.begun.empty());
}

TEST_F(SweepTest, a_row_of_another_length_fails_its_job) {
    Events events;
    Sweep sweep = a_sweep(events, 2);
    sweep.columns.push_back("more");
    EXPECT_EQ(run(sweep), 1);
    EXPECT_TRUE(says("nu 2/0 failed: a row has 3 cells and the CSV has 4 columns")) << said;
}

// What looks after a job, and counts.
class Counting final : public Keeper {
  public:
    void share(std::size_t, double) override { ++shares; }
    void keep(std::size_t, const std::string&) override {}
    bool stop_asked() override { return false; }

    int shares = 0;
};

// Whichever of the two calls comes first after the work of a step.
TEST(SweepJob, a_job_that_asks_whether_to_save_still_tells_its_share) {
    for (const bool save_first : {true, false}) {
        Sweep sweep;
        sweep.jobs.push_back({"a", 1, [&](Progress& progress) {
                                  for (int step = 0; step < 10; ++step) {
                                      if (!save_first) progress.save_due();
                                      progress.done(0.1 * step);
                                      std::this_thread::sleep_for(std::chrono::milliseconds(2));
                                      if (save_first) progress.save_due();
                                  }
                                  return Result{};
                              }});
        Counting keeper;
        EXPECT_EQ(run_job(sweep, 0, "", keeper).kind, Kind::finished);
        EXPECT_EQ(keeper.shares, 10) << save_first;
    }
}

}  // namespace
}  // namespace single_location
