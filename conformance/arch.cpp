// llama.cpp for arch.py, built against its library:
//   arch quantize IN OUT NUMBER   what llama_model_quantize makes of a file
//   arch logits FILE ID..         a line of logits for each token
//   arch embed FILE ID..          a line of the last hidden state for each token
//   arch tokens FILE TEXT         the tokens of a text
#include "llama.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>
int main(int n, char ** a) {
    llama_log_set([](ggml_log_level l, const char * t, void *) { if (l >= GGML_LOG_LEVEL_ERROR) fputs(t, stderr); }, nullptr);
    llama_backend_init();
    std::string what = a[1];
    if (what == "quantize") {
        auto p = llama_model_quantize_default_params();
        p.ftype = (llama_ftype) atoi(a[4]);
        p.nthread = 1;
        return (int) llama_model_quantize(a[2], a[3], &p);
    }
    auto mp = llama_model_default_params();
    llama_model * m = llama_model_load_from_file(a[2], mp);
    if (!m) return 3;
    const llama_vocab * v = llama_model_get_vocab(m);
    if (what == "tokens") {
        std::vector<llama_token> t(4096);
        int k = llama_tokenize(v, a[3], strlen(a[3]), t.data(), t.size(), true, true);
        for (int i = 0; i < k; i++) printf("%d ", t[i]);
        printf("\n");
        return k < 0;
    }
    std::vector<llama_token> ids;
    for (int i = 3; i < n; i++) ids.push_back(atoi(a[i]));
    auto cp = llama_context_default_params();
    cp.n_ctx = 128; cp.n_batch = 128; cp.n_ubatch = 128; cp.n_threads = 1; cp.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    cp.type_k = GGML_TYPE_F32; cp.type_v = GGML_TYPE_F32;
    bool bert = what == "embed";
    if (bert) { cp.embeddings = true; cp.pooling_type = LLAMA_POOLING_TYPE_NONE; }
    llama_context * c = llama_init_from_model(m, cp);
    if (!c) return 4;
    llama_batch b = llama_batch_init(128, 0, 1);
    for (size_t i = 0; i < ids.size(); i++) { b.token[i] = ids[i]; b.pos[i] = i; b.n_seq_id[i] = 1; b.seq_id[i][0] = 0; b.logits[i] = true; }
    b.n_tokens = ids.size();
    if (llama_decode(c, b)) return 5;
    int w = bert ? llama_model_n_embd(m) : llama_vocab_n_tokens(v);
    for (size_t i = 0; i < ids.size(); i++) {
        const float * x = bert ? llama_get_embeddings_ith(c, i) : llama_get_logits_ith(c, i);
        for (int j = 0; j < w; j++) printf("%.9g ", x[j]);
        printf("\n");
    }
    return 0;
}
