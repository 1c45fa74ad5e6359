/* A model's server that costs almost nothing: canned answers of the Chat Completions API.
 *
 *   mock [unix=PATH]        prints "port N", serves until it is killed
 *
 * POST /STEPS/PAUSE_US/...  with "stream":true: STEPS chunks, PAUSE_US apart, then the usage and
 *                           [DONE]; otherwise one JSON document. Any GET is answered with a list of
 *                           models. Each content holds one '~', by which a client counts.
 * One thread, epoll, kept connections, no log. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define REQUEST_MAX 65536
#define FDS_MAX 131072
#define EVENTS 256

static const char WHOLE[] =
    "{\"id\":\"chatcmpl-9f8e7d6c5b4a39281706\",\"object\":\"chat.completion\",\"created\":1763600000,"
    "\"model\":\"mock\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
    "\"~A rainbow is an arc of colours that appears when sunlight is bent, mirrored and spread by "
    "drops of water in the air. Each drop sends one colour to the eye, by the angle at which it "
    "hangs; red stands on the outer side and violet on the inner one. A second, fainter bow may "
    "stand above it with its colours turned about, and the sky between the two is a little "
    "darker.\",\"refusal\":null},\"logprobs\":null,"
    "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":212,\"completion_tokens\":64,"
    "\"total_tokens\":276},\"system_fingerprint\":\"fp_0a1b2c3d4e\"}";
static const char MODELS[] =
    "{\"object\":\"list\",\"data\":[{\"id\":\"mock\",\"object\":\"model\",\"created\":1763600000,"
    "\"owned_by\":\"bench\"}]}";
#define EVENT_HEAD                                                                              \
    "data: {\"id\":\"chatcmpl-9f8e7d6c5b4a39281706\",\"object\":\"chat.completion.chunk\","     \
    "\"created\":1763600000,\"model\":\"mock\",\"system_fingerprint\":\"fp_0a1b2c3d4e\","
static const char FIRST[] = EVENT_HEAD
    "\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"~The\"},"
    "\"logprobs\":null,\"finish_reason\":null}]}\n\n";
static const char STEP[] = EVENT_HEAD
    "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"~ rainbow\"},"
    "\"logprobs\":null,\"finish_reason\":null}]}\n\n";
static const char LAST[] = EVENT_HEAD
    "\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}]}\n\n"
    EVENT_HEAD "\"choices\":[],\"usage\":{\"prompt_tokens\":212,\"completion_tokens\":64,"
    "\"total_tokens\":276}}\n\ndata: [DONE]\n\n";
static const char STREAM_HEAD[] = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
                                  "cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n";

struct text { char bytes[4096]; size_t length; };
static struct text whole, models, opening, step, last;

struct peer {
    int fd, steps, sent, heap_at, waits_to_write;
    uint64_t pause_ns, due_ns;
    char *in, *out;
    size_t in_length, in_room, out_length;
};

static struct peer *peers[FDS_MAX];
static struct peer *heap[FDS_MAX]; /* of streams, the one due first on top; heap_at 0 is none */
static int heap_size, poll_fd, timer_fd;
static uint64_t armed_ns;

static void die(const char *what) {
    fprintf(stderr, "mock: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void place(struct peer *peer, int at) {
    heap[at] = peer;
    peer->heap_at = at;
}

static void sift(struct peer *peer, int at) {
    while (at > 1 && heap[at / 2]->due_ns > peer->due_ns) {
        place(heap[at / 2], at);
        at /= 2;
    }
    for (int child; (child = at * 2) <= heap_size; at = child) {
        if (child < heap_size && heap[child + 1]->due_ns < heap[child]->due_ns) child++;
        if (heap[child]->due_ns >= peer->due_ns) break;
        place(heap[child], at);
    }
    place(peer, at);
}

static void unplan(struct peer *peer) {
    int at = peer->heap_at;
    if (!at) return;
    peer->heap_at = 0;
    struct peer *moved = heap[heap_size--];
    if (moved != peer) sift(moved, at);
}

static void plan(struct peer *peer, uint64_t due_ns) {
    peer->due_ns = due_ns;
    sift(peer, peer->heap_at ? peer->heap_at : ++heap_size);
}

static void arm(void) {
    uint64_t due_ns = heap_size ? heap[1]->due_ns : 0;
    if (due_ns == armed_ns) return;
    struct itimerspec at = {.it_value = {.tv_sec = (time_t)(due_ns / 1000000000u),
                                         .tv_nsec = (long)(due_ns % 1000000000u)}};
    timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
    armed_ns = due_ns;
}

static void drop(struct peer *peer) {
    unplan(peer);
    peers[peer->fd] = NULL;
    close(peer->fd);
    free(peer->in);
    free(peer->out);
    free(peer);
}

static void watch(struct peer *peer, int add, int writing) {
    struct epoll_event event = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.fd = peer->fd};
    if (epoll_ctl(poll_fd, add ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, peer->fd, &event)) die("epoll");
    peer->waits_to_write = writing;
}

/* 0 when the peer is gone. What the socket does not take is kept, in order. */
static int give(struct peer *peer, const char *bytes, size_t length) {
    if (!peer->out_length) {
        ssize_t taken = send(peer->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (taken < 0 && errno != EAGAIN) return drop(peer), 0;
        if (taken < 0) taken = 0;
        bytes += taken;
        length -= (size_t)taken;
        if (!length) return 1;
    }
    peer->out = realloc(peer->out, peer->out_length + length);
    memcpy(peer->out + peer->out_length, bytes, length);
    peer->out_length += length;
    if (!peer->waits_to_write) watch(peer, 0, 1);
    return 1;
}

static int given_rest(struct peer *peer) {
    ssize_t taken = send(peer->fd, peer->out, peer->out_length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (taken < 0 && errno != EAGAIN) return drop(peer), 0;
    if (taken > 0) {
        memmove(peer->out, peer->out + taken, peer->out_length - (size_t)taken);
        peer->out_length -= (size_t)taken;
    }
    if (!peer->out_length) watch(peer, 0, 0);
    return 1;
}

static int answer(struct peer *peer, char *head, const char *body, size_t body_length) {
    if (!strncmp(head, "GET ", 4)) return give(peer, models.bytes, models.length);
    if (!memmem(body, body_length, "\"stream\":true", 13) &&
        !memmem(body, body_length, "\"stream\": true", 14))
        return give(peer, whole.bytes, whole.length);
    char *path = strchr(head, '/');
    long pause_us = 0;
    peer->steps = path ? (int)strtol(path + 1, &path, 10) : 0;
    if (path && *path == '/') pause_us = strtol(path + 1, NULL, 10);
    if (peer->steps < 1) peer->steps = 1;
    peer->pause_ns = (uint64_t)pause_us * 1000;
    peer->sent = 1;
    if (!give(peer, opening.bytes, opening.length)) return 0;
    plan(peer, now_ns() + peer->pause_ns);
    return 1;
}

/* Answers what has come whole; 0 when the peer is gone. Waits while a stream runs. */
static int served(struct peer *peer) {
    while (!peer->heap_at && peer->in_length) {
        peer->in[peer->in_length] = 0;
        char *end = strstr(peer->in, "\r\n\r\n");
        if (!end) return peer->in_length < REQUEST_MAX ? 1 : (drop(peer), 0);
        char *said = strcasestr(peer->in, "\r\ncontent-length:");
        size_t head = (size_t)(end - peer->in) + 4;
        size_t body = said && said < end ? strtoul(said + 17, NULL, 10) : 0;
        if (head + body > REQUEST_MAX) return drop(peer), 0;
        if (peer->in_length < head + body) return 1;
        if (!answer(peer, peer->in, peer->in + head, body)) return 0;
        peer->in_length -= head + body;
        memmove(peer->in, peer->in + head + body, peer->in_length);
    }
    return 1;
}

static void heard(struct peer *peer) {
    if (peer->in_room - peer->in_length < 4096) {
        peer->in_room = peer->in_room ? peer->in_room * 2 : 4096;
        peer->in = realloc(peer->in, peer->in_room + 1);
    }
    if (peer->in_room > 2 * REQUEST_MAX) return drop(peer);
    size_t room = peer->in_room - peer->in_length;
    ssize_t got = recv(peer->fd, peer->in + peer->in_length, room, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return drop(peer);
    peer->in_length += (size_t)got;
    served(peer);
}

static void tick(void) {
    uint64_t passed, now = now_ns();
    if (read(timer_fd, &passed, sizeof passed) < 0 && errno != EAGAIN) die("timer");
    armed_ns = 0;
    while (heap_size && heap[1]->due_ns <= now) {
        struct peer *peer = heap[1];
        if (peer->sent < peer->steps) {
            peer->sent++;
            plan(peer, peer->due_ns + peer->pause_ns);
            give(peer, step.bytes, step.length);
        } else {
            unplan(peer);
            if (give(peer, last.bytes, last.length)) served(peer);
        }
    }
}

static void welcome(int listener) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct peer *peer = fd < FDS_MAX ? calloc(1, sizeof *peer) : NULL;
        if (!peer) {
            close(fd);
            continue;
        }
        peer->fd = fd;
        peers[fd] = peer;
        watch(peer, 1, 0);
    }
}

static int listening(const char *unix_path) {
    struct sockaddr_in tcp = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr *address = unix_path ? (struct sockaddr *)&local : (struct sockaddr *)&tcp;
    socklen_t length = unix_path ? sizeof local : sizeof tcp;
    int fd = socket(unix_path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (unix_path) strncpy(local.sun_path, unix_path, sizeof local.sun_path - 1);
    if (fd < 0 || bind(fd, address, length) || listen(fd, 8192)) die("listen");
    if (!unix_path && getsockname(fd, address, &length)) die("port");
    printf("port %d\n", unix_path ? 0 : ntohs(tcp.sin_port));
    fflush(stdout);
    return fd;
}

static void document(struct text *made, const char *body) {
    made->length = (size_t)snprintf(made->bytes, sizeof made->bytes,
                                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                                    "content-length: %zu\r\n\r\n%s", strlen(body), body);
}

static void chunked(struct text *made, const char *head, const char *body, const char *end) {
    made->length = (size_t)snprintf(made->bytes, sizeof made->bytes, "%s%zx\r\n%s\r\n%s", head,
                                    strlen(body), body, end);
}

int main(int count, char **words) {
    const char *unix_path = NULL;
    for (int i = 1; i < count; i++)
        if (!strncmp(words[i], "unix=", 5)) unix_path = words[i] + 5;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    document(&whole, WHOLE);
    document(&models, MODELS);
    chunked(&opening, STREAM_HEAD, FIRST, "");
    chunked(&step, "", STEP, "");
    chunked(&last, "", LAST, "0\r\n\r\n");
    poll_fd = epoll_create1(0);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    int listener = listening(unix_path);
    struct epoll_event own[2] = {{.events = EPOLLIN, .data.fd = listener},
                                 {.events = EPOLLIN, .data.fd = timer_fd}};
    for (int i = 0; i < 2; i++) epoll_ctl(poll_fd, EPOLL_CTL_ADD, own[i].data.fd, &own[i]);
    for (struct epoll_event events[EVENTS];;) {
        int ready = epoll_wait(poll_fd, events, EVENTS, -1);
        if (ready < 0 && errno != EINTR) die("epoll");
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            struct peer *peer = fd < FDS_MAX ? peers[fd] : NULL;
            if (fd == listener) welcome(listener);
            else if (fd == timer_fd) tick();
            else if (peer && (!(events[i].events & EPOLLOUT) || given_rest(peer)) &&
                     (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
                heard(peer);
        }
        arm();
    }
}
