// search_spec.hpp: a problem with everything drawn at random, as users combine options, from its number
// alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <hone/hone.hpp>
#include <initializer_list>
#include <ostream>
#include <sstream>
#include <string>

#include "tests/search_visibility.hpp"
#include "tests/spec.hpp"

namespace hone::test {

struct SearchProblem {
    Spec spec;
    hone_activation activation = HONE_SOFTMAX;
    hone_dtype dtype = HONE_FLOAT32;
    int threads[2] = {1, 2};  // two numbers of them, for the same bits
};

// All but which keys are seen: see search_problem().
class SearchDraw {
  public:
    explicit SearchDraw(std::int64_t number) : random_("search_" + std::to_string(number)) {
        problem_.spec.name = "search_" + std::to_string(number);
        problem_.activation = static_cast<hone_activation>(random_.integer(0, hone_activation_count() - 1));
        info_ = describe(problem_.activation);
        problem_.dtype = random_.one_in(4) ? HONE_FLOAT64 : HONE_FLOAT32;
        for (int& threads : problem_.threads) threads = static_cast<int>(random_.integer(1, 8));
        draw_shape();
        draw_layout();
        draw_options();
        draw_sizes();
    }

    SearchProblem problem() const { return problem_; }

  private:
    // Small numbers as often as large ones, or a number beside one of these.
    std::int64_t extent(std::int64_t most, std::initializer_list<std::int64_t> boundaries) {
        if (random_.one_in(2)) return random_.integer(1, random_.integer(1, most));
        return std::max<std::int64_t>(random_.one_of(boundaries) + random_.integer(-1, 1), 1);
    }

    // Rows around 16, 96 and 192 and keys around 256, 512 and 1024 bound the library's blocks.
    void draw_shape() {
        Spec& s = problem_.spec;
        s.batch = random_.integer(1, 3);
        s.kv_heads = random_.integer(1, 3);
        const std::int64_t ratio = random_.one_of<std::int64_t>({1, 1, 1, 2, 3, 4, 5, 7, 8, 11, 13, 71, 97});
        s.query_heads = s.kv_heads * ratio;
        const std::int64_t rows = extent(300, {8, 16, 48, 96, 192, 288});
        s.queries = std::max<std::int64_t>(rows / ratio, 1);
        s.keys = extent(400, {16, 32, 64, 256, 512, 1024});
        s.key_dim = extent(40, {8, 16, 32, 64});
        s.value_dim = random_.one_in(2) ? s.key_dim : extent(40, {8, 16, 32, 64});
        s.mask = static_cast<Mask>(random_.integer(0, 2));
        while (work_of(s) > kMostWork && shrink(s)) continue;
        if (random_.one_in(40)) random_.one_of({&s.batch, &s.query_heads, &s.queries, &s.keys})[0] = 0;
    }
    static bool shrink(Spec& s) {
        if (s.batch > 1) return s.batch -= 1, true;
        if (s.kv_heads > 1) return s.query_heads -= s.query_heads / s.kv_heads, s.kv_heads -= 1, true;
        if (s.key_dim > 4 || s.value_dim > 4)
            return s.key_dim = (s.key_dim + 1) / 2, s.value_dim = (s.value_dim + 1) / 2, true;
        return false;
    }

    void draw_layout() {
        Spec& s = problem_.spec;
        s.mixed = true;
        const auto axes = [&] { return Shared{random_.one_in(2), random_.one_in(2), random_.one_in(2)}; };
        const auto share = [&] { return random_.one_in(2) ? Shared{} : axes(); };
        s.share_q = share(), s.share_k = share(), s.share_v = share(), s.share_dout = share();
        s.keep_q = share(), s.keep_k = share(), s.keep_v = share();
        s.v_is_k = random_.one_in(8);
        if (s.v_is_k) s.value_dim = s.key_dim;
        if (random_.one_in(2)) s.gradients = static_cast<unsigned>(random_.integer(1, 15));
    }

    void draw_options() {
        Spec& s = problem_.spec;
        s.sink = info_.takes_sink && random_.one_in(2);
        s.log_prior = info_.takes_log_prior && random_.one_in(2);
        s.shift = info_.takes_shift && random_.one_in(2);
        s.dlse = info_.normalised && random_.one_in(2);
        s.lse = info_.normalised ? !random_.one_in(4) : true;
        if (info_.joint && random_.one_in(2) && s.query_heads > 0) {
            s.group_heads = random_.integer(1, s.query_heads);
            while (s.query_heads % s.group_heads != 0) --s.group_heads;
        }
        if (info_.takes_softmax_n) s.softmax_n = random_.one_of({1.0, 1.0, 1e-30, 0.5, 3.0, 1000.0});
        if (info_.takes_weight) s.weight = random_.one_of({0.0, 0.0, 0.7, -1.3, 30.0});
        s.scale = random_.one_of({0.0, 0.0, 0.3, -0.3, 1.0, -1.7});
    }

    void draw_sizes() {
        Spec& s = problem_.spec;
        s.grid = false;  // what rounding may make of a score near a kink is part of the bound
        s.amplitude = random_.one_of({1.0, 1.0, 1.0, 1e-3, 1e-20, 8.0, 40.0});
        s.size_v = random_.one_of({1.0, 1.0, 1.0, 1e-3, 1e-25, 1e4, 1e20});
        s.size_dout = s.size_v > 1 ? 1 / s.size_v : random_.one_of({1.0, 1.0, 1e-3, 1e-10, 1e4});
        s.size_parameter = random_.one_of({1.0, 1.0, 10.0, 50.0});
    }

    Random random_;
    hone_activation_info info_;
    SearchProblem problem_;
};

inline SearchProblem search_problem(std::int64_t number) {
    SearchProblem problem = SearchDraw(number).problem();
    VisibilityDraw(number, problem.spec).draw();
    return problem;
}

inline std::ostream& operator<<(std::ostream& out, const Shared& axes) {
    return out << (axes.batch ? "b" : "") << (axes.heads ? "h" : "") << (axes.rows ? "r" : "");
}

// One line that says all of it.
inline std::string line_of(const SearchProblem& problem) {
    const Spec& s = problem.spec;
    std::ostringstream out;
    out << describe(problem.activation).name << (problem.dtype == HONE_FLOAT32 ? " f32" : " f64") << " B "
        << s.batch << " Hq " << s.query_heads << " Hkv " << s.kv_heads << " Nq " << s.queries << " Nk "
        << s.keys << " Dk " << s.key_dim << " Dv " << s.value_dim << " " << s.mask << " threads "
        << problem.threads[0] << ", " << problem.threads[1];
    print_visibility(s, out);
    const auto shared = [&](const char* name, const Shared& share, const Shared& keep) {
        out << " " << name << ":" << share << "/" << keep;
    };
    shared("q", s.share_q, s.keep_q), shared("k", s.share_k, s.keep_k), shared("v", s.share_v, s.keep_v);
    shared("dout", s.share_dout, {});
    out << (s.v_is_k ? " v=k" : "") << (s.sink ? " sink" : "") << (s.log_prior ? " log_prior" : "")
        << (s.shift ? " shift" : "") << (s.dlse ? " dlse" : "") << (s.lse ? "" : " no-lse");
    if (s.group_heads) out << " group_heads " << s.group_heads;
    if (s.softmax_n != 1) out << " softmax_n " << s.softmax_n;
    if (s.weight != 0) out << " weight " << s.weight;
    if (s.scale != 0) out << " scale " << s.scale;
    out << " gradients " << s.gradients << " q*" << s.amplitude << " v*" << s.size_v << " dout*"
        << s.size_dout << " parameters*" << s.size_parameter;
    return out.str();
}

}  // namespace hone::test
