// presets.cpp: the models, and the names of their cases.
#include "presets.hpp"

#include <algorithm>
#include <hone/hone.hpp>

namespace hone::bench {

const std::vector<Preset>& presets() {
    // Lengths are ours where a model takes any.
    static const std::vector<Preset> all = {
        {"llama-3-8b",
         "prefill of 2048 tokens, decoding at 8192",
         "The Llama 3 Herd of Models, arXiv 2407.21783, table 3",
         {"forward/softmax/f32/*/b1/h32/kv8/q2048/k2048/d128/causal",
          "backward/softmax/f32/*/b1/h32/kv8/q2048/k2048/d128/causal",
          "forward/softmax/f32/*/b1/h32/kv8/q1/k8192/d128"}},
        {"llama-3-70b",
         "prefill of 2048 tokens, decoding at 8192",
         "the same table",
         {"forward/softmax/f32/*/b1/h64/kv8/q2048/k2048/d128/causal",
          "forward/softmax/f32/*/b1/h64/kv8/q1/k8192/d128"}},
        {"gemma-3",
         "the 4B model: a layer with a window of 1024, one without, decoding at 8192",
         "Gemma 3 Technical Report, arXiv 2503.19786, and the model's config.json",
         {"forward/softmax/f32/*/b1/h8/kv4/q4096/k4096/d256/causal/window1024",
          "forward/softmax/f32/*/b1/h8/kv4/q4096/k4096/d256/causal",
          "forward/softmax/f32/*/b1/h8/kv4/q1/k8192/d256"}},
        {"gpt-oss",
         "sinks: a layer with a window of 128, one without, decoding at 8192",
         "gpt-oss-120b & gpt-oss-20b Model Card, arXiv 2508.10925, section 2",
         {"forward/softmax/f32/*/b1/h64/kv8/q2048/k2048/d64/causal/window128/sink",
          "forward/softmax/f32/*/b1/h64/kv8/q2048/k2048/d64/causal/sink",
          "forward/softmax/f32/*/b1/h64/kv8/q1/k8192/d64/sink"}},
        {"deepseek-mla",
         "16 of V3's 128 heads: prefill of 2048 tokens; decoding at 8192 on the latent cache",
         "DeepSeek-V3 Technical Report, arXiv 2412.19437, sections 2.1.1 and 4.2",
         {"forward/softmax/f32/*/b1/h16/q2048/k2048/d192/dv128/causal",
          "backward/softmax/f32/*/b1/h16/q2048/k2048/d192/dv128/causal",
          "forward/softmax/f32/*/b1/h16/kv1/q1/k8192/d576/dv512"}},
        {"bert-base",
         "a batch of 8 sequences of 512 tokens",
         "arXiv 1810.04805, section 3",
         {"forward/softmax/f32/*/b8/h12/q512/k512/d64", "backward/softmax/f32/*/b8/h12/q512/k512/d64"}},
        {"vit-l",
         "ViT-L/16, a batch of 8 images of 224 x 224: 196 patches and a class token, [B, N, H, D]",
         "arXiv 2010.11929, table 1",
         {"forward/softmax/f32/*/b8/h16/q197/k197/d64/bnhd",
          "backward/softmax/f32/*/b8/h16/q197/k197/d64/bnhd"}},
        {"whisper",
         "large: the encoder on 30 seconds, a decoder's step across them",
         "arXiv 2212.04356, table 1 and section 2.2",
         {"forward/softmax/f32/*/b1/h20/q1500/k1500/d64", "forward/softmax/f32/*/b1/h20/q1/k1500/d64"}},
        {"esm-2",
         "650M: proteins packed without padding, up to 1024 residues",
         "Lin et al., Science 379 (2023) 1123, and the model's config.json",
         {"forward/softmax/f32/*/b16/h20/q1024/k1024/d64/ragged",
          "backward/softmax/f32/*/b16/h20/q1024/k1024/d64/ragged"}},
        {"paper",
         "the single-location model with softmax and Bayes-softmax",
         "arXiv 2603.03993",
         {"forward/softmax/f32/*/b256/h16/kv1/q1/k32/d1024/single_location",
          "backward/softmax/f32/*/b256/h16/kv1/q1/k32/d1024/single_location",
          "forward/bayes_softmax/f32/*/b256/h16/kv1/q1/k32/d1024/single_location",
          "backward/bayes_softmax/f32/*/b256/h16/kv1/q1/k32/d1024/single_location"}},
    };
    return all;
}

std::vector<Case> preset_cases(const std::string& name, const std::string& isa) {
    const auto preset = std::ranges::find(presets(), name, &Preset::name);
    if (preset == presets().end()) {
        std::string known;
        for (const Preset& p : presets()) known += (known.empty() ? "" : ", ") + p.name;
        throw Error(HONE_INVALID_ARGUMENT, "--preset: '" + name + "' should be one of " + known);
    }
    std::vector<int> counts = {1};
    if (all_threads() > 1) counts.push_back(all_threads());
    std::vector<Case> cases;
    for (std::string text : preset->cases) {
        text.replace(text.find('*'), 1, isa);
        for (const int threads : counts)
            cases.push_back(parse_case(text + "/threads:" + std::to_string(threads)));
    }
    return cases;
}

}  // namespace hone::bench
