// case_name.cpp: the parts of a case's name, each with how it is read and how it is written.
#include <hone/hone.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <hone/hone.hpp>
#include <string_view>
#include <vector>

#include "cases.hpp"

namespace hone::bench {
namespace {

enum class Need { always, optional };

// A part of a name. read() takes it from its text, or says that the text is none of it; write() gives ""
// where an optional part is left out.
struct Part {
    Need need;
    std::string meaning;
    std::function<bool(std::string_view, Case&)> read;
    std::function<std::string(const Case&)> write;
};

// As many digits as case_name.py takes, none of them a leading 0.
bool read_number(std::string_view text, std::int64_t& number) {
    if (text.empty() || text.size() > 12 || text.front() < '1' || text.front() > '9') return false;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size();
}

// Letters, then a number that is not 0. field: of a case, a reference to the number.
template <class Field>
Part number(Need need, std::string letters, std::string meaning, Field field) {
    return {need, std::move(meaning),
            [=](std::string_view text, Case& c) {
                return text.starts_with(letters) && read_number(text.substr(letters.size()), field(c));
            },
            [=](const Case& c) {
                const std::int64_t n = field(c);
                return n == 0 ? "" : letters + std::to_string(n);
            }};
}

// The same where it is left out when it equals another number of the case.
template <class Field, class Other>
Part number_unless(std::string letters, std::string meaning, Field field, Other other) {
    Part part = number(Need::optional, std::move(letters), std::move(meaning), field);
    part.write = [write = part.write, field, other](const Case& c) {
        return field(c) == other(c) ? "" : write(c);
    };
    return part;
}

template <class Field>
Part flag(std::string letters, Field field) {
    return {Need::optional, letters,
            [=](std::string_view text, Case& c) { return text == letters && (field(c) = true); },
            [=](const Case& c) { return field(c) ? letters : ""; }};
}

// One of a list of words. names(n) is the n-th, or "" behind the last; field: of a case, its number.
template <class Names, class Field>
Part choice(std::string meaning, Names names, Field field) {
    return {Need::always, std::move(meaning),
            [=](std::string_view text, Case& c) {
                for (int n = 0; !names(n).empty(); ++n)
                    if (text == names(n)) return field(c) = std::decay_t<decltype(field(c))>(n), true;
                return false;
            },
            [=](const Case& c) { return std::string(names(int(field(c)))); }};
}

std::string_view direction_name(int n) {
    return n == 0 ? "forward" : n == 1 ? "backward" : "";
}

std::string_view activation_name(int n) {
    return n < hone_activation_count() ? describe(hone_activation(n)).name : "";
}

std::string joined(const std::vector<std::string>& words, const std::string& last) {
    std::string text;
    for (std::size_t n = 0; n < words.size(); ++n)
        text += (n == 0 ? "" : n + 1 == words.size() ? last : ", ") + words[n];
    return text;
}

std::string activation_names() {
    std::vector<std::string> names;
    for (int n = 0; n < hone_activation_count(); ++n) names.emplace_back(activation_name(n));
    return joined(names, " or ");
}

Part dtype_part() {
    return {Need::always, "f32 or f64",
            [](std::string_view text, Case& c) {
                c.dtype = text == "f32" ? HONE_FLOAT32 : HONE_FLOAT64;
                return text == "f32" || text == "f64";
            },
            [](const Case& c) { return c.dtype == HONE_FLOAT32 ? "f32" : "f64"; }};
}

Part isa_part() {
    std::vector<std::string> isas = available_isas();
    isas.emplace_back("best");
    return {Need::always, "an instruction set that this machine runs: " + joined(isas, " or "),
            [=](std::string_view text, Case& c) {
                c.isa = text == "best" ? isas[isas.size() - 2] : text;
                return std::ranges::find(isas, text) != isas.end();
            },
            [](const Case& c) { return c.isa; }};
}

Part threads_part() {
    return {Need::always, "the threads, as threads:1",
            [](std::string_view text, Case& c) {
                std::int64_t threads = 0;
                if (!text.starts_with("threads:") || !read_number(text.substr(8), threads)) return false;
                c.threads = int(std::min<std::int64_t>(threads, 1 << 20));
                return true;
            },
            [](const Case& c) { return "threads:" + std::to_string(c.threads); }};
}

#define FIELD(name)        \
    [](auto& c) -> auto& { \
        return c.name;     \
    }

std::vector<Part> make_parts() {
    return {
        choice("forward or backward", direction_name, FIELD(direction)),
        choice("an activation: " + activation_names(), activation_name, FIELD(activation)),
        dtype_part(),
        isa_part(),
        number(Need::always, "b", "the batch, as b1", FIELD(shape.batch)),
        number(Need::always, "h", "the query heads, as h8", FIELD(shape.query_heads)),
        number_unless("kv", "the heads of k and v, as kv2", FIELD(shape.kv_heads), FIELD(shape.query_heads)),
        number(Need::always, "q", "the queries, as q1024", FIELD(shape.queries)),
        number(Need::always, "k", "the keys, as k1024", FIELD(shape.keys)),
        number(Need::always, "d", "the dimension, as d64", FIELD(shape.key_dim)),
        number_unless("dv", "the dimension of v, as dv128", FIELD(shape.value_dim), FIELD(shape.key_dim)),
        flag("causal", FIELD(shape.options.causal)),
        number(Need::optional, "window", "a window, as window512", FIELD(shape.options.window)),
        number(Need::optional, "documents", "documents, as documents4", FIELD(shape.options.documents)),
        number(Need::optional, "hidden", "hidden keys in percent, as hidden10", FIELD(shape.options.hidden)),
        flag("lengths", FIELD(shape.options.lengths)),
        flag("ragged", FIELD(shape.options.ragged)),
        flag("sink", FIELD(shape.options.sink)),
        flag("bnhd", FIELD(shape.options.bnhd)),
        flag("single_location", FIELD(shape.options.single_location)),
        threads_part(),
    };
}

#undef FIELD

const std::vector<Part>& parts() {
    static const std::vector<Part> all = make_parts();
    return all;
}

std::vector<std::string> split(const std::string& name) {
    std::vector<std::string> words;
    std::size_t begin = 0;
    for (std::size_t end; (end = name.find('/', begin)) != std::string::npos; begin = end + 1)
        words.push_back(name.substr(begin, end - begin));
    words.push_back(name.substr(begin));
    return words;
}

// What is wrong with a name whose parts are all right, or "".
std::string contradiction(const Case& c) {
    const Shape& s = c.shape;
    const Options& o = s.options;
    const hone_activation_info activation = describe(c.activation);
    const auto text = [](const char* letters, std::int64_t n) { return letters + std::to_string(n); };
    Options alone;
    alone.single_location = true;
    if (s.query_heads % s.kv_heads != 0)
        return text("kv", s.kv_heads) + " should divide " + text("h", s.query_heads);
    if (o.single_location && !(o == alone)) return "single_location goes with no other word";
    if (o.single_location && s.value_dim != s.key_dim)
        return "single_location has keys that are the values: leave dv out";
    if (o.lengths && o.ragged) return "lengths pad a batch and ragged packs it: one of the two";
    if (o.documents > 0 && (o.lengths || o.ragged))
        return "documents are of equal length: without lengths and ragged";
    if (o.documents > std::min(s.queries, s.keys))
        return text("documents", o.documents) + " want " + std::to_string(o.documents) +
               " queries and keys, or more";
    if (o.hidden > 99) return "'" + text("hidden", o.hidden) + "' should be 99 percent at most";
    if (o.ragged && s.queries != s.keys)
        return "ragged queries have the keys' offsets: " + text("k", s.keys) + " should be " +
               text("k", s.queries);
    if (o.ragged && s.queries < 16)
        return "ragged sequences have 16 rows at least: " + text("q", s.queries) + " is too few";
    if (o.ragged && o.bnhd) return "ragged tensors are [total, H, D] already: leave bnhd out";
    if (o.sink && !activation.takes_sink) return std::string(activation.name) + " takes no sink";
    return "";
}

[[noreturn]] void refuse(const std::string& name, const std::string& sentence) {
    throw Error(HONE_INVALID_ARGUMENT, ("'" + name + "': " + sentence).c_str());
}

}  // namespace

std::string Case::name() const {
    std::string text;
    for (const Part& part : parts())
        if (const std::string word = part.write(*this); !word.empty())
            text += (text.empty() ? "" : "/") + word;
    return text;
}

Case parse_case(const std::string& name) {
    const std::vector<std::string> words = split(name);
    Case c;
    std::size_t at = 0;
    std::vector<std::string> choices;  // of what may come at this place
    for (const Part& part : parts()) {
        if (at < words.size() && part.read(words[at], c)) {
            ++at;
            choices.clear();
            continue;
        }
        choices.push_back(part.meaning);
        if (part.need == Need::optional) continue;
        if (at == words.size()) refuse(name, "it lacks " + part.meaning);
        refuse(name, "'" + words[at] + "' should be " + joined(choices, ", or "));
    }
    if (at < words.size()) refuse(name, "'" + words[at] + "' is more than a name has");
    if (c.shape.kv_heads == 0) c.shape.kv_heads = c.shape.query_heads;
    if (c.shape.value_dim == 0) c.shape.value_dim = c.shape.key_dim;
    if (const std::string sentence = contradiction(c); !sentence.empty()) refuse(name, sentence);
    return c;
}

}  // namespace hone::bench
