// ranks.hpp owns the interface of what the processes of a sweep send each other; there is one process where
// the program was not started by mpirun, or was built without MPI.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>

namespace single_location {

enum class Kind : int {
    // To rank 0, of a job:
    share,        // a double
    state,        // what the job saved
    finished,     // encode() of its result
    failed,       // a sentence
    interrupted,  // as asked
    // To rank 0, of the rank:
    ready,  // for the first job
    stop,   // it had a signal
    bye,    // the last message
    // From rank 0:
    job,      // to be run, with what it saved or nothing
    halt,     // stop what runs
    dismiss,  // halt, and end with the exit status that stands for the job
};

struct Message {
    int rank = 0;  // from or to
    Kind kind;
    std::int64_t job = 0;
    std::string bytes;
};

class Ranks {
  public:
    // Of this process. Starts MPI at the first call where mpirun started the program, and ends it at exit.
    // Throws a sentence where the program cannot run so.
    static Ranks& get();

    int rank() const { return rank_; }
    int size() const { return size_; }

    // "on rank 3 (its host): "; "" where there is but one.
    std::string where() const;

    // Does not wait.
    void send(const Message& message);

    // A message that has come whole, in the order in which its rank sent it; does not wait.
    std::optional<Message> receive();

    // Waits until all that was sent has left.
    void flush();

    ~Ranks();

  private:
    Ranks();
    void tidy();

    struct Outgoing;
    int rank_ = 0, size_ = 1;
    std::list<std::unique_ptr<Outgoing>> outbox_;
};

// As the environment that mpirun sets has it: nothing where it did not start this process; the size is 0
// where unknown.
struct Launch {
    int rank, size;
};
std::optional<Launch> launch();

}  // namespace single_location
