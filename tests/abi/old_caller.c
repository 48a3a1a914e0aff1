/* old_caller.c: a program that was compiled against the header of 0.2.0, which is kept here as it was, runs
 * with the library of today. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "hone-0.2.0.h"

#define EXPECT(condition) \
    if (!(condition)) return printf("line %d: %s; %s\n", __LINE__, #condition, hone_last_error()), 1

/* One query of one head on two keys: scores 0 and 1, values 2 and 6. */
static int forward_and_backward(void) {
    float q[] = {1}, k[] = {0, 1}, v[] = {2, 6}, o[1], lse[1], dout[] = {1}, dq[1], dk[2], dv[2];
    const float p = 1 / (1 + expf(-1)), expected = 2 * (1 - p) + 6 * p;
    hone_problem problem;
    hone_forward_args forward;
    hone_backward_args backward;
    size_t bytes = 0;
    EXPECT(hone_problem_init(&problem, sizeof problem) == HONE_OK);
    EXPECT(hone_forward_args_init(&forward, sizeof forward) == HONE_OK);
    EXPECT(hone_backward_args_init(&backward, sizeof backward) == HONE_OK);
    problem.batch = problem.query_heads = problem.kv_heads = problem.queries = 1;
    problem.keys = 2;
    problem.key_dim = problem.value_dim = 1;
    problem.flags = HONE_CAUSAL, problem.alignment = HONE_BOTTOM_RIGHT;
    problem.isa = hone_isa_name(0);
    forward.q = backward.q = hone_const_bhnd(q, 1, 1, 1);
    forward.k = backward.k = hone_const_bhnd(k, 1, 2, 1);
    forward.v = backward.v = hone_const_bnhd(v, 1, 2, 1);
    forward.o = hone_bhnd(o, 1, 1, 1);
    forward.lse = lse;
    EXPECT(hone_forward_workspace(&problem, &forward, &bytes) == HONE_OK && bytes > 0);
    EXPECT(hone_forward(&problem, &forward) == HONE_OK);
    EXPECT(fabsf(o[0] - expected) < 1e-5f && fabsf(lse[0] - logf(1 + expf(1))) < 1e-5f);

    backward.o = hone_const(forward.o);
    backward.dout = hone_const_bhnd(dout, 1, 1, 1);
    backward.lse = lse;
    backward.dq = hone_bnhd(dq, 1, 1, 1), backward.dk = hone_bhnd(dk, 1, 2, 1);
    backward.dv = hone_bhnd(dv, 1, 2, 1);
    EXPECT(hone_backward_workspace(&problem, &backward, &bytes) == HONE_OK && bytes > 0);
    EXPECT(hone_backward(&problem, &backward) == HONE_OK);
    EXPECT(fabsf(dv[0] - (1 - p)) < 1e-5f && fabsf(dv[1] - p) < 1e-5f);
    EXPECT(fabsf(dq[0] - 4 * p * (1 - p)) < 1e-5f && fabsf(dk[1] - dq[0]) < 1e-5f);

    problem.keys = -1;
    EXPECT(hone_forward(&problem, &forward) == HONE_INVALID_ARGUMENT);
    EXPECT(strncmp(hone_last_error(), "keys: is -1;", 12) == 0);
    return 0;
}

static int names(void) {
    hone_activation_info info;
    int32_t activation = -1;
    info.size = sizeof info;
    EXPECT(hone_activation_count() > HONE_ERF);
    EXPECT(hone_activation_by_name("bayes_softmax", &activation) == HONE_OK);
    EXPECT(activation == HONE_BAYES_SOFTMAX);
    EXPECT(hone_describe_activation(activation, &info) == HONE_OK);
    EXPECT(strcmp(info.name, "bayes_softmax") == 0 && info.size == sizeof info);
    EXPECT(info.normalised && info.joint && info.takes_sink && info.takes_log_prior && !info.takes_shift);
    EXPECT(hone_activation_by_name("linear", &activation) == HONE_OK && activation == HONE_LINEAR);
    EXPECT(hone_activation_by_name("no such", &activation) == HONE_INVALID_ARGUMENT);
    EXPECT(hone_isa_count() > 0 && hone_isa_available(0) && hone_isa_active() != NULL);
    EXPECT(hone_version()[0] != '\0');
    return 0;
}

int main(void) {
    return forward_and_backward() || names();
}
