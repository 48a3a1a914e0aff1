/* c99.c: hone.h by itself, twice, in strict C99; and the library answers. */
#include <hone/hone.h>
/* */
#include <hone/hone.h>

int main(void) {
    const hone_problem problem = hone_problem_default();
    const hone_status status = hone_describe_activation(HONE_ACTIVATION_COUNT, NULL);
    return !(problem.size == sizeof(problem) && status == HONE_INVALID_ARGUMENT &&
             hone_last_error()[0] != '\0');
}
