/* implementation_c99.c: implementation.h by itself, twice, in strict C99; and functions as it declares them.
 */
#include <hone/implementation.h>
/* */
#include <hone/implementation.h>

const char* hone_implementation_name(void) {
    return "nothing";
}

const char* hone_implementation_supports(void) {
    return "forward backward f32 softmax";
}

hone_status hone_implementation_forward(const hone_problem* problem, const hone_forward_args* args) {
    return problem && args ? HONE_UNSUPPORTED : HONE_INVALID_ARGUMENT;
}

hone_status hone_implementation_backward(const hone_problem* problem, const hone_backward_args* args) {
    return problem && args ? HONE_UNSUPPORTED : HONE_INVALID_ARGUMENT;
}

const char* hone_implementation_last_error(void) {
    return hone_implementation_name();
}

int main(void) {
    return hone_implementation_forward(NULL, NULL) != HONE_INVALID_ARGUMENT;
}
