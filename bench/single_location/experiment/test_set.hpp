// test_set.hpp: samples that no training has seen, the risk of heads on them, and what weight each head gives
// where.
#pragma once

#include <functional>
#include <memory>

#include "experiment/settings.hpp"
#include "theory/draws.hpp"

namespace single_location {

// What is trained of some heads.
struct Parameters {
    Matrix queries;  // [H, D], or [H, F] in the limit
    Vector bias;     // [H]
};

class TestSet {
  public:
    // Of the settings' samples: quasi-random ones in the limit D -> infinity, else tokens of another seed
    // with these directions.
    TestSet(const Settings& settings, const Tokens& trained_on, std::uint64_t seed);

    using Poll = std::function<void()>;  // called now and then; may throw

    // Sum_l (delta_l_epsilon - a_l)^2 in the limit, else |y - prediction|^2 / D: its mean over the samples.
    Estimate risk(
        const Attention& attention, const Parameters& at, const Poll& poll = [] {}) const;

    // Of the limit D -> infinity, on quasi-random samples.
    Estimate bayes() const { return bayes_; }

    // A sample, as the heads weigh it.
    struct Weighed {
        int replicate;         // of kReplicates
        const double* theta;   // [F]
        int epsilon;           // the marked token
        const double* weight;  // [H, L]: the share c A_hl
    };
    static constexpr int kReplicates = 16;
    // Calls `seen` with each sample in turn.
    void weigh(
        const Attention& attention, const Parameters& at, const std::function<void(const Weighed&)>& seen,
        const Poll& poll = [] {}) const;

    // M [H, F]: q_h . k_f.
    Matrix overlaps(const Parameters& at) const;

  private:
    struct Buffers;
    Samples<double> load(Buffers& buffers, int first, int count) const;

    int tokens_, dim_, samples_, threads_;
    Signal signal_;
    Matrix directions_;              // [F, D]
    std::unique_ptr<Draws> draws_;   // in the limit
    std::unique_ptr<Tokens> fresh_;  // else
    Estimate bayes_;
};

}  // namespace single_location
