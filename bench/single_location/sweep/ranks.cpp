// ranks.cpp: MPI by its C interface, and what stands for it where there is none.
#include "sweep/ranks.hpp"

#ifdef SINGLE_LOCATION_MPI
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>
#endif
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <stdexcept>

namespace single_location {
namespace {

std::optional<int> variable(std::initializer_list<const char*> names) {
    for (const char* name : names)
        if (const char* value = std::getenv(name)) return std::atoi(value);
    return {};
}

}  // namespace

// Open MPI, MPICH and Intel MPI, Slurm's srun.
std::optional<Launch> launch() {
    const std::optional<int> rank = variable({"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"});
    if (!rank) return {};
    return Launch{*rank, variable({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS"}).value_or(0)};
}

std::string Ranks::where() const {
    if (size_ == 1) return "";
    char name[256] = "";
    gethostname(name, sizeof name - 1);
    return "on rank " + std::to_string(rank_) + " (" + name + "): ";
}

#ifdef SINGLE_LOCATION_MPI

struct Ranks::Outgoing {
    std::string bytes;
    MPI_Request request = MPI_REQUEST_NULL;
};

Ranks::Ranks() {
    const std::optional<Launch> launched = launch();
    if (!launched) return;
    int threads = 0;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &threads);
    std::atexit([] { MPI_Finalize(); });
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
    if (launched->size > 1 && size_ == 1)
        throw std::runtime_error("started as " + std::to_string(launched->size) +
                                 " processes, by the mpirun of another MPI than this program was built with");
}

// A message travels as its job and its bytes, tagged with its kind.
void Ranks::send(const Message& message) {
    tidy();
    if (message.bytes.size() > INT_MAX - sizeof message.job)
        throw std::length_error("a result or saved state of more than 2 GB cannot be sent to another rank");
    auto outgoing = std::make_unique<Outgoing>();
    outgoing->bytes.assign(reinterpret_cast<const char*>(&message.job), sizeof message.job);
    outgoing->bytes += message.bytes;
    MPI_Isend(outgoing->bytes.data(), static_cast<int>(outgoing->bytes.size()), MPI_BYTE, message.rank,
              static_cast<int>(message.kind), MPI_COMM_WORLD, &outgoing->request);
    outbox_.push_back(std::move(outgoing));
}

std::optional<Message> Ranks::receive() {
    if (size_ == 1) return {};
    tidy();
    int there = 0, length = 0;
    MPI_Status status;
    MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &there, &status);
    if (!there) return {};
    MPI_Get_count(&status, MPI_BYTE, &length);
    std::string bytes(static_cast<std::size_t>(length), '\0');
    MPI_Recv(bytes.data(), length, MPI_BYTE, status.MPI_SOURCE, status.MPI_TAG, MPI_COMM_WORLD,
             MPI_STATUS_IGNORE);
    Message message{status.MPI_SOURCE, static_cast<Kind>(status.MPI_TAG), 0, {}};
    std::memcpy(&message.job, bytes.data(), sizeof message.job);
    message.bytes = bytes.substr(sizeof message.job);
    return message;
}

void Ranks::flush() {
    for (const auto& outgoing : outbox_) MPI_Wait(&outgoing->request, MPI_STATUS_IGNORE);
    outbox_.clear();
}

void Ranks::tidy() {
    std::erase_if(outbox_, [](const auto& outgoing) {
        int left = 0;
        MPI_Test(&outgoing->request, &left, MPI_STATUS_IGNORE);
        return left != 0;
    });
}

#else

struct Ranks::Outgoing {};

Ranks::Ranks() {
    const std::optional<Launch> launched = launch();
    if (!launched || launched->size <= 1) return;
    rank_ = launched->rank;
    throw std::runtime_error("built without MPI, so it cannot run as " + std::to_string(launched->size) +
                             " processes; start it without mpirun");
}

void Ranks::send(const Message&) {}

std::optional<Message> Ranks::receive() {
    return {};
}

void Ranks::flush() {}

void Ranks::tidy() {}

#endif

Ranks::~Ranks() = default;

Ranks& Ranks::get() {
    static Ranks ranks;
    return ranks;
}

}  // namespace single_location
