/* c99.c: hone.h by itself, twice, in strict C99; and the library answers. */
#include <hone/hone.h>
/* */
#include <hone/hone.h>

int main(void) {
    hone_problem problem;
    const hone_status made = hone_problem_init(&problem, sizeof problem);
    const hone_status status = hone_describe_activation(hone_activation_count(), NULL);
    return !(made == HONE_OK && problem.size == sizeof problem && status == HONE_INVALID_ARGUMENT &&
             hone_last_error()[0] != '\0');
}
