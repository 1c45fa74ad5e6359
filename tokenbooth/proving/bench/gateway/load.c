/* A caller that costs almost nothing, and checks every answer.
 *
 *   load mode=closed|rate|hold port=N request=FILE[,FILE] end=TEXT connections=N
 *        [steps=N] [rate=N] [stagger_ms=N] [warm_ms=N] [window_ms=N] [patience_ms=N] [watch=PID,PID]
 *
 * closed: as many calls at once as connections, begun within stagger_ms; what ends is followed by
 *         the next. rate: a call every 1/rate s whatever became of those before; its time counts
 *         from when it was due, so one that finds no connection free is late, not left out.
 *         hold: opens so many streams, prints "held N", and keeps them until standard input ends.
 * A call counts in the window when it ended in it (closed) or was due in it (rate). The run time of
 * the processes that are watched, and how long they waited for a core, is read at both its ends. At the end one JSON document.
 *
 * An answer is good with status 200, a whole body, exactly `steps` times '~' in its content, and
 * `end` among its last bytes. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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
#include <time.h>
#include <unistd.h>

#define HEAD_MAX 8192
#define TAIL_MAX 64
#define EVENTS 256
#define SAMPLES_MAX 1000000
#define WATCHED_MAX 32
#define REQUESTS_MAX 8
#define OPENING_MAX 64 /* streams that hold begins at once */

enum { CLOSED, RATE, HOLD };
enum { AWAY, IDLE, BUSY, HELD };
enum { IN_HEAD, SIZED, CHUNK_SIZE, CHUNK_NOTE, CHUNK, CHUNK_END, TRAILER };

struct line {
    int fd, state, part, status, closes, steps, tail_length, trailer_length;
    uint64_t due_ns, first_ns;
    size_t sent, left, head_length;
    char head[HEAD_MAX + 1], tail[TAIL_MAX];
};
struct list { uint32_t *us; size_t count, room; };

static int mode, port, connections = 1, steps_wanted = 1, rate, free_count, busy, held, watched;
static uint64_t stagger_ns, warm_ns, window_ns, patience_ns = 10000000000u;
static char *requests[REQUESTS_MAX], *end_mark = "";
static size_t request_length[REQUESTS_MAX], request_count;
static pid_t watch_pid[WATCHED_MAX];
static uint64_t watch_ns[2][2][WATCHED_MAX], edge_ns[2]; /* [edge][ran, waited] */
static struct line *lines, **free_lines;
static struct list first_us, whole_us;
static uint64_t answers, answers_all, failed, started, chunks, reads;
static char failure[512];
static uint64_t quiet_ns, stop_ns; /* where the edges of the window were planned */
static int poll_fd, timer_fd, edges;

static void die(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* What all threads ran and waited for a core, by the scheduler's own count. */
static void counted_ns(pid_t pid, uint64_t *ran, uint64_t *waited) {
    char path[320], text[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    for (struct dirent *task; tasks && (task = readdir(tasks));) {
        if (task->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", (int)pid, task->d_name);
        int fd = open(path, O_RDONLY);
        ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
        if (fd >= 0) close(fd);
        if (got <= 0) continue;
        text[got] = 0;
        char *rest;
        *ran += strtoull(text, &rest, 10);
        *waited += strtoull(rest, NULL, 10);
    }
    if (tasks) closedir(tasks);
}

static void edge(void) {
    edge_ns[edges] = now_ns();
    for (int i = 0; i < watched; i++)
        counted_ns(watch_pid[i], &watch_ns[edges][0][i], &watch_ns[edges][1][i]);
    edges++;
}

static int in_window(void) { return edges == 1; }

static void sample(struct list *list, uint64_t ns) {
    if (list->count == SAMPLES_MAX) return;
    if (list->count == list->room) {
        list->room = list->room ? list->room * 2 : 4096;
        list->us = realloc(list->us, list->room * sizeof *list->us);
    }
    list->us[list->count++] = ns > 4294967295000u ? 4294967295u : (uint32_t)(ns / 1000);
}

static void dial(struct line *line) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)port)};
    int on = 1;
    line->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (line->fd < 0 || connect(line->fd, (struct sockaddr *)&to, sizeof to)) die("connect");
    setsockopt(line->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = line};
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, line->fd, &event)) die("epoll");
    line->state = IDLE;
}

static void hang_up(struct line *line) {
    close(line->fd);
    line->state = AWAY;
}

static void call(struct line *line, uint64_t due_ns) {
    size_t kind = (size_t)(line - lines) % request_count;
    if (line->state == AWAY) dial(line);
    line->state = BUSY;
    line->part = IN_HEAD;
    line->due_ns = due_ns;
    line->first_ns = line->head_length = 0;
    line->steps = line->tail_length = line->status = line->closes = 0;
    busy++;
    started++;
    ssize_t sent = send(line->fd, requests[kind], request_length[kind], MSG_NOSIGNAL);
    (void)sent; /* one that fails is seen when its answer is read */
}

static void ended(struct line *line, const char *why) {
    uint64_t now = now_ns();
    const char *tail = line->tail;
    if (!why && line->status != 200) why = "status";
    if (!why && line->steps != steps_wanted) why = "steps";
    if (!why && !memmem(tail, (size_t)line->tail_length, end_mark, strlen(end_mark))) why = "end";
    if (why && !failed++)
        snprintf(failure, sizeof failure, "%s: status %d, %d of %d steps; ends with %.*s", why,
                 line->status, line->steps, steps_wanted, line->tail_length, tail);
    busy -= line->state == BUSY;
    held -= line->state == HELD;
    if (!why) {
        answers_all++;
        int counts = mode == RATE ? line->due_ns >= quiet_ns && line->due_ns < stop_ns : in_window();
        if (counts) {
            answers++;
            sample(&first_us, line->first_ns - line->due_ns);
            sample(&whole_us, now - line->due_ns);
        }
    }
    line->state = IDLE;
    if (why || line->closes) hang_up(line);
    free_lines[free_count++] = line;
}

static void content(struct line *line, const char *bytes, size_t length) {
    int before = line->steps;
    for (const char *at = bytes; (at = memchr(at, '~', length - (size_t)(at - bytes))); at++)
        line->steps++;
    if (line->steps > before && !line->first_ns) line->first_ns = now_ns();
    if (in_window()) chunks += (uint64_t)(line->steps - before);
    size_t kept = length < TAIL_MAX ? length : TAIL_MAX, old = TAIL_MAX - kept;
    if (old > (size_t)line->tail_length) old = (size_t)line->tail_length;
    memmove(line->tail, line->tail + line->tail_length - old, old);
    memcpy(line->tail + old, bytes + length - kept, kept);
    line->tail_length = (int)(old + kept);
}

/* Whether the head is whole; *used bytes of it were new. */
static int head_read(struct line *line, const char *bytes, size_t length, size_t *used) {
    size_t had = line->head_length, room = HEAD_MAX - had, taken = length < room ? length : room;
    memcpy(line->head + had, bytes, taken);
    line->head[had + taken] = 0;
    char *end = strstr(line->head, "\r\n\r\n"), *said;
    if (!end) {
        line->head_length += taken;
        *used = taken;
        return 0;
    }
    end[2] = 0;
    *used = (size_t)(end - line->head) + 4 - had;
    line->status = atoi(line->head + 9);
    line->closes = strcasestr(line->head, "\r\nconnection: close\r\n") != NULL;
    said = strcasestr(line->head, "\r\ncontent-length:");
    line->part = said ? SIZED : CHUNK_SIZE;
    line->left = said ? strtoul(said + 17, NULL, 10) : 0;
    return 1;
}

/* Takes one byte of the framing of chunks; 1 when it was the last one of the answer. */
static int framed(struct line *line, char byte) {
    if (line->part == CHUNK_SIZE || line->part == CHUNK_NOTE) {
        if (byte == '\n') {
            line->part = line->left ? CHUNK : TRAILER;
            line->trailer_length = 0;
        } else if (byte == ';') line->part = CHUNK_NOTE;
        else if (line->part == CHUNK_NOTE) return 0;
        else if (byte >= '0' && byte <= '9') line->left = line->left * 16 + (size_t)(byte - '0');
        else if ((byte | 32) >= 'a' && (byte | 32) <= 'f')
            line->left = line->left * 16 + (size_t)((byte | 32) - 'a' + 10);
    } else if (line->part == CHUNK_END) {
        if (byte == '\n') line->part = CHUNK_SIZE;
    } else if (byte == '\n') {
        if (!line->trailer_length) return 1;
        line->trailer_length = 0;
    } else if (byte != '\r') line->trailer_length++;
    return 0;
}

/* Whether the answer is whole. */
static int fed(struct line *line, const char *bytes, size_t length) {
    size_t used = 0;
    if (line->part == IN_HEAD) {
        if (!head_read(line, bytes, length, &used)) return 0;
        if (line->part == SIZED && !line->left) return 1;
    }
    while (used < length) {
        if (line->part == SIZED || line->part == CHUNK) {
            size_t some = length - used < line->left ? length - used : line->left;
            content(line, bytes + used, some);
            used += some;
            line->left -= some;
            if (!line->left && line->part == SIZED) return 1;
            if (!line->left) line->part = CHUNK_END;
        } else if (framed(line, bytes[used++])) return 1;
    }
    return 0;
}

static void heard(struct line *line) {
    static char bytes[1 << 16];
    ssize_t got = recv(line->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (line->state < BUSY) {
        hang_up(line); /* an idle one that the server closed is no failure: it is dialled again */
        return;
    }
    if (got <= 0) return ended(line, line->part == IN_HEAD ? "no answer" : "cut off");
    int before = line->steps;
    int whole = fed(line, bytes, (size_t)got);
    if (in_window() && line->steps > before) reads++;
    if (whole) return ended(line, NULL);
    if (line->head_length == HEAD_MAX) return ended(line, "head too long");
    if (mode == HOLD && line->state == BUSY && line->steps) {
        line->state = HELD;
        busy--;
        held++;
    }
}

static void wake_at(uint64_t due_ns) {
    struct itimerspec at = {.it_value = {.tv_sec = (time_t)(due_ns / 1000000000u),
                                         .tv_nsec = (long)(due_ns % 1000000000u)}};
    timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

/* Waits until due_ns at most, and takes what has come. */
static void turn(uint64_t due_ns) {
    struct epoll_event events[EVENTS];
    wake_at(due_ns);
    int ready = epoll_wait(poll_fd, events, EVENTS, -1);
    if (ready < 0 && errno != EINTR) die("epoll");
    for (int i = 0; i < ready; i++) {
        uint64_t passed;
        struct line *line = events[i].data.ptr;
        if (line) heard(line);
        else if (read(timer_fd, &passed, sizeof passed) < 0 && errno != EAGAIN) die("timer");
    }
}

static uint64_t sooner(uint64_t a, uint64_t b) { return a < b ? a : b; }

static void run(void) {
    uint64_t begun = now_ns() + 1000000, due_all = 0;
    quiet_ns = begun + stagger_ns + warm_ns;
    stop_ns = quiet_ns + window_ns;
    uint64_t given_up = stop_ns + patience_ns;
    if (mode == RATE) due_all = (stop_ns - begun) * (uint64_t)rate / 1000000000u;
    int fresh = 0; /* how many lines of a closed loop have begun */
    for (uint64_t now; (now = now_ns()) < given_up;) {
        uint64_t next = edges == 0 ? quiet_ns : edges == 1 ? stop_ns : given_up;
        if ((edges == 0 && now >= quiet_ns) || (edges == 1 && now >= stop_ns)) {
            edge();
            continue;
        }
        if (mode == RATE) {
            while (started < due_all && free_count) {
                uint64_t due = begun + started * 1000000000u / (uint64_t)rate;
                if (due > now) {
                    next = sooner(next, due);
                    break;
                }
                call(free_lines[--free_count], due);
            }
        } else if (edges < 2) {
            while (free_count) call(free_lines[--free_count], now);
            for (uint64_t due; fresh < connections; call(&lines[fresh++], now)) {
                due = begun + stagger_ns * (uint64_t)fresh / (uint64_t)connections;
                if (due > now) {
                    next = sooner(next, due);
                    break;
                }
            }
        }
        if (edges == 2 && !busy && started >= due_all) return;
        turn(next);
    }
    failed += (uint64_t)busy;
    if (busy && !*failure) snprintf(failure, sizeof failure, "%d answers did not end", busy);
}

static void hold(void) {
    uint64_t given_up = now_ns() + patience_ns;
    while (held < connections && !failed && now_ns() < given_up) {
        while (free_count && busy < OPENING_MAX) call(free_lines[--free_count], now_ns());
        turn(given_up);
    }
    printf("held %d\n", held);
    fflush(stdout);
    struct epoll_event own = {.events = EPOLLIN, .data.ptr = NULL};
    fcntl(0, F_SETFL, O_NONBLOCK);
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, 0, &own);
    for (char byte; read(0, &byte, 1) != 0;) turn(now_ns() + 1000000000u);
}

static void print_list(const char *name, struct list *list) {
    printf(",\"%s\":[", name);
    for (size_t i = 0; i < list->count; i++) printf(i ? ",%u" : "%u", list->us[i]);
    printf("]");
}

static void report(void) {
    printf("{\"wall_ns\":%llu,\"answers\":%llu,\"answers_all\":%llu,\"failed\":%llu,\"held\":%d,"
           "\"chunks\":%llu,\"reads\":%llu,\"failure\":\"",
           (unsigned long long)(edge_ns[1] - edge_ns[0]), (unsigned long long)answers,
           (unsigned long long)answers_all, (unsigned long long)failed, held,
           (unsigned long long)chunks, (unsigned long long)reads);
    for (char *at = failure; *at; at++)
        if (*at >= ' ' && *at <= '~') printf(*at == '"' || *at == '\\' ? "\\%c" : "%c", *at);
    printf("\"");
    for (int what = 0; what < 2; what++) {
        printf(what ? ",\"waited_ns\":{" : ",\"ran_ns\":{");
        for (int i = 0; i < watched; i++)
            printf("%s\"%d\":%llu", i ? "," : "", (int)watch_pid[i],
                   (unsigned long long)(watch_ns[1][what][i] - watch_ns[0][what][i]));
        printf("}");
    }
    print_list("first_us", &first_us);
    print_list("whole_us", &whole_us);
    printf("}\n");
}

static void read_requests(char *paths) {
    for (char *path = strtok(paths, ","); path; path = strtok(NULL, ",")) {
        FILE *file = fopen(path, "rb");
        char *bytes = malloc(1 << 20);
        if (!file || request_count == REQUESTS_MAX) die(path);
        request_length[request_count] = fread(bytes, 1, 1 << 20, file);
        requests[request_count++] = bytes;
        fclose(file);
    }
}

static void option(char *word) {
    char *value = strchr(word, '=');
    if (!value) die(word);
    *value++ = 0;
    uint64_t ns = strtoull(value, NULL, 10) * 1000000u;
    if (!strcmp(word, "mode")) mode = *value == 'c' ? CLOSED : *value == 'r' ? RATE : HOLD;
    else if (!strcmp(word, "port")) port = atoi(value);
    else if (!strcmp(word, "request")) read_requests(value);
    else if (!strcmp(word, "end")) end_mark = value;
    else if (!strcmp(word, "connections")) connections = atoi(value);
    else if (!strcmp(word, "steps")) steps_wanted = atoi(value);
    else if (!strcmp(word, "rate")) rate = atoi(value);
    else if (!strcmp(word, "stagger_ms")) stagger_ns = ns;
    else if (!strcmp(word, "warm_ms")) warm_ns = ns;
    else if (!strcmp(word, "window_ms")) window_ns = ns;
    else if (!strcmp(word, "patience_ms")) patience_ns = ns;
    else if (!strcmp(word, "watch"))
        for (char *pid = strtok(value, ","); pid && watched < WATCHED_MAX; pid = strtok(NULL, ","))
            watch_pid[watched++] = atoi(pid);
    else die(word);
}

int main(int count, char **words) {
    for (int i = 1; i < count; i++) option(words[i]);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    if (!request_count || connections < 1 || (mode == RATE && rate < 1)) die("options");
    poll_fd = epoll_create1(0);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event own = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, timer_fd, &own);
    lines = calloc((size_t)connections, sizeof *lines);
    free_lines = calloc((size_t)connections, sizeof *free_lines);
    for (int i = connections; i-- > 0;) {
        if (mode != HOLD) dial(&lines[i]);
        if (mode != CLOSED) free_lines[free_count++] = &lines[i];
    }
    if (mode == HOLD) hold();
    else run();
    report();
    return 0;
}
