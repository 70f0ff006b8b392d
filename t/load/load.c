
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * A load client for the tests: so many uploads by so many clients at once to
 * a port of 127.0.0.1, and nowhere else.  It says on standard output, as JSON,
 * what it has sent and what came back:
 *
 *     sent        uploads of which at least one byte was sent
 *     answered    those with a complete answer
 *     status      answers by status
 *     arm         answers by the value of the first header asked for
 *     connect     connections that were not made; nothing was sent
 *     broken      closed or reset before the answer was complete
 *     stale       those of them whose connection had served an upload before
 *     timeout     without a complete answer in time
 *     invalid     with an answer that is none
 *     bytes       of bodies of answered uploads
 *
 * so that  sent = answered + broken + timeout + invalid.  What upload number i
 * looks like depends on the seed and on i alone.
 */


#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>


#define LOAD_CLIENTS  256
#define LOAD_HEADERS  16
#define LOAD_METHODS  8
#define LOAD_ARMS     32
#define LOAD_ANSWER   16384         /* bytes; a larger answer is invalid */
#define LOAD_BODY     (64 << 20)    /* bytes; the largest body */


typedef struct {
    int       fd;                   /* -1: no connection */
    int       connected;
    int       refused;              /* the server takes no more of the body */
    unsigned  served;               /* uploads that this connection has had */
    uint64_t  number;
    uint64_t  deadline;             /* ms */

    char      head[2048];           /* of the request */
    size_t    head_len;
    size_t    body_len;
    size_t    sent;                 /* of head and body */

    char      answer[LOAD_ANSWER + 1];
    size_t    answer_len;
} client_t;


typedef struct {
    char      name[64];
    uint64_t  n;
} arm_t;


/* options */

static unsigned     port;
static unsigned     clients_n = 16;
static uint64_t     uploads = 1000;     /* 0: until SIGTERM */
static uint64_t     seed = 1;
static size_t       body_min;
static size_t       body_max;
static uint64_t     timeout_ms = 30000;
static int          keepalive;
static char        *methods[LOAD_METHODS];
static unsigned     methods_n;
static const char  *uri = "/upload";
static const char  *prefix;
static const char  *headers[LOAD_HEADERS];
static unsigned     headers_n;
static FILE        *each;

/* what happened */

static uint64_t     started;
static uint64_t     sent;
static uint64_t     answered;
static uint64_t     connect_errors;
static uint64_t     broken;
static uint64_t     stale;
static uint64_t     timeouts;
static uint64_t     invalid;
static uint64_t     bytes;
static uint64_t     statuses[600];
static arm_t        arms[LOAD_ARMS];
static unsigned     arms_n;

static int          epfd;
static char        *body;
static client_t    *clients;
static unsigned     busy;               /* clients with an upload */

static volatile sig_atomic_t  stop;


static void start(client_t *c);
static void finish(client_t *c, uint64_t *error);


static void __attribute__((noreturn, format(printf, 1, 2)))
die(const char *fmt, ...)
{
    va_list  args;

    fprintf(stderr, "load: ");

    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);

    fprintf(stderr, "\n");
    exit(2);
}


static void
on_signal(int signo)
{
    (void) signo;

    stop = 1;
}


static uint64_t
now_ms(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


/* the k-th random number of upload i (splitmix64) */

static uint64_t
random_of(uint64_t i, uint64_t k)
{
    uint64_t  z;

    z = seed + (4 * i + k + 1) * UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);

    return z ^ (z >> 31);
}


/* each order of magnitude is as frequent as any other */

static size_t
size_of(uint64_t i)
{
    size_t  size;
    double  u;

    u = (double) (random_of(i, 0) >> 11) / (double) (UINT64_C(1) << 53);

    size = body_min + (size_t) pow((double) (body_max - body_min) + 1, u) - 1;

    return size > body_max ? body_max : size;
}


/* listens for what may happen next on the client's connection */

static void
listen_for(client_t *c, int op)
{
    struct epoll_event  ev;

    memset(&ev, 0, sizeof(struct epoll_event));

    ev.events = EPOLLIN;

    if (!c->connected || (!c->refused && c->sent < c->head_len + c->body_len)) {
        ev.events |= EPOLLOUT;
    }

    ev.data.ptr = c;

    if (epoll_ctl(epfd, op, c->fd, &ev) == -1) {
        die("epoll_ctl() failed: %s", strerror(errno));
    }
}


static void
disconnect(client_t *c)
{
    if (c->fd != -1) {
        close(c->fd);
        c->fd = -1;
    }
}


static int
open_connection(client_t *c)
{
    struct sockaddr_in  sin;

    c->fd = socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);

    if (c->fd == -1) {
        die("socket() failed: %s", strerror(errno));
    }

    memset(&sin, 0, sizeof(struct sockaddr_in));

    sin.sin_family = AF_INET;
    sin.sin_port = htons(port);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    c->connected = 0;
    c->refused = 0;
    c->served = 0;

    if (connect(c->fd, (struct sockaddr *) &sin, sizeof(struct sockaddr_in))
        == -1 && errno != EINPROGRESS)
    {
        return -1;
    }

    return 0;
}


/* writes one line about an upload, if they are asked for */

static void
write_line(client_t *c, unsigned status, char **values)
{
    unsigned  i;

    if (each == NULL) {
        return;
    }

    fprintf(each, "%" PRIu64 " %u", c->number, status);

    for (i = 0; i < headers_n; i++) {
        fprintf(each, " %s", values && values[i] ? values[i] : "-");
    }

    fprintf(each, "\n");
}


/* starts uploads until one is on its way or there is nothing left to do */

static void
start(client_t *c)
{
    int         fresh, n;
    const char *method;

    while (!stop && (uploads == 0 || started < uploads)) {

        c->number = started++;
        c->deadline = now_ms() + timeout_ms;
        c->body_len = size_of(c->number);
        c->sent = 0;
        c->answer_len = 0;

        method = methods[random_of(c->number, 1) % methods_n];

        n = snprintf(c->head, sizeof(c->head),
                     "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                     "Content-Length: %zu\r\nConnection: %s\r\n",
                     method, uri, c->body_len,
                     keepalive ? "keep-alive" : "close");

        if (prefix) {
            n += snprintf(c->head + n, sizeof(c->head) - n,
                          "X-Client-Id: %s%" PRIu64 "\r\n", prefix, c->number);
        }

        n += snprintf(c->head + n, sizeof(c->head) - n, "\r\n");

        c->head_len = n;

        fresh = (c->fd == -1);

        if (fresh && open_connection(c) == -1) {
            disconnect(c);
            connect_errors++;
            write_line(c, 0, NULL);
            continue;
        }

        listen_for(c, fresh ? EPOLL_CTL_ADD : EPOLL_CTL_MOD);
        busy++;
        return;
    }

    disconnect(c);
}


/* an upload has failed; counts it and goes on with the next */

static void
finish(client_t *c, uint64_t *error)
{
    if (c->sent == 0) {

        /* not counted as sent: the server cannot have seen anything of it */

        connect_errors++;

    } else {
        (*error)++;

        if (error == &broken && c->served) {
            stale++;
        }
    }

    write_line(c, 0, NULL);
    disconnect(c);
    busy--;
    start(c);
}


static void
count_arm(const char *name)
{
    unsigned  i;

    for (i = 0; i < arms_n; i++) {
        if (strcmp(arms[i].name, name) == 0) {
            arms[i].n++;
            return;
        }
    }

    if (arms_n == LOAD_ARMS) {
        die("more than %d values of %s", LOAD_ARMS, headers[0]);
    }

    snprintf(arms[arms_n].name, sizeof(arms[0].name), "%s", name);
    arms[arms_n++].n = 1;
}


/*
 * Looks whether the answer is complete, "eof" if nothing more will come.
 * Returns 1 if it is, 0 if more is needed, -1 if it is none.
 */

static int
parse(client_t *c, int eof, unsigned *status, char **values, int *close)
{
    int        chunked;
    char      *p, *first, *line, *next, *value, *last;
    long       length;
    unsigned   i;

    c->answer[c->answer_len] = '\0';
    p = c->answer;

again:

    if (strlen(p) != (size_t) (c->answer + c->answer_len - p)) {
        return -1;
    }

    last = strstr(p, "\r\n\r\n");

    if (last == NULL) {
        return eof || c->answer_len == LOAD_ANSWER ? -1 : 0;
    }

    if (strncmp(p, "HTTP/1.1 ", 9) != 0) {
        return -1;
    }

    *status = strtoul(p + 9, NULL, 10);

    if (*status < 100 || *status > 599) {
        return -1;
    }

    if (*status < 200) {
        p = last + 4;
        goto again;
    }

    length = -1;
    chunked = 0;
    *close = 0;

    for (i = 0; i < headers_n; i++) {
        values[i] = NULL;
    }

    first = strstr(p, "\r\n") + 2;
    p = last + 4;
    last[2] = '\0';

    for (line = first; *line; line = next + 2) {

        next = strstr(line, "\r\n");
        value = memchr(line, ':', next - line);

        if (value == NULL) {
            continue;
        }

        value += 1 + strspn(value + 1, " ");

        if (strncasecmp(line, "Content-Length:", 15) == 0) {
            length = strtol(value, NULL, 10);

        } else if (strncasecmp(line, "Transfer-Encoding:", 18) == 0) {
            chunked = 1;

        } else if (strncasecmp(line, "Connection: close", 17) == 0) {
            *close = 1;
        }
    }

    last[2] = '\r';

    if (*status == 204 || *status == 304) {
        length = 0;
    }

    if (chunked) {
        if (c->answer_len < 5 || strcmp(c->answer + c->answer_len - 5,
                                        "0\r\n\r\n") != 0)
        {
            return eof || c->answer_len == LOAD_ANSWER ? -1 : 0;
        }

    } else if (length >= 0) {
        if (c->answer + c->answer_len - p < length) {
            return eof || c->answer_len == LOAD_ANSWER ? -1 : 0;
        }

        if (c->answer + c->answer_len - p > length) {
            return -1;
        }

    } else if (!eof) {
        return c->answer_len == LOAD_ANSWER ? -1 : 0;
    }

    /* complete: now the lines can be cut */

    last[2] = '\0';

    for (line = first; *line; line = next + 2) {

        next = strstr(line, "\r\n");

        for (i = 0; i < headers_n; i++) {
            value = line + strlen(headers[i]);

            if (strncasecmp(line, headers[i], value - line) == 0
                && *value == ':')
            {
                values[i] = value + 1 + strspn(value + 1, " ");
                *next = '\0';
            }
        }
    }

    return 1;
}


static void
receive(client_t *c)
{
    int        close, rc;
    char      *values[LOAD_HEADERS];
    ssize_t    n;
    unsigned   status;

    for ( ;; ) {
        n = recv(c->fd, c->answer + c->answer_len, LOAD_ANSWER - c->answer_len,
                 0);

        if (n == -1) {
            if (errno == EAGAIN) {
                return;
            }

            finish(c, &broken);
            return;
        }

        c->answer_len += n;

        if (n == 0 && c->answer_len == 0) {
            finish(c, &broken);
            return;
        }

        rc = parse(c, n == 0, &status, values, &close);

        if (rc == 0) {
            continue;
        }

        if (rc == -1) {
            finish(c, n == 0 ? &broken : &invalid);
            return;
        }

        break;
    }

    answered++;
    bytes += c->body_len;
    statuses[status]++;

    if (headers_n) {
        count_arm(values[0] ? values[0] : "");
    }

    write_line(c, status, values);

    c->served++;

    if (n == 0 || close || !keepalive
        || c->sent < c->head_len + c->body_len)
    {
        disconnect(c);
    }

    busy--;
    start(c);
}


static void
transmit(client_t *c)
{
    int      flags;
    char    *from;
    size_t   len, all;
    ssize_t  n;

    all = c->head_len + c->body_len;

    while (c->sent < all) {

        flags = MSG_NOSIGNAL;

        if (c->sent < c->head_len) {
            from = c->head + c->sent;
            len = c->head_len - c->sent;

            if (c->body_len) {
                flags |= MSG_MORE;
            }

        } else {
            from = body + (c->sent - c->head_len);
            len = all - c->sent;
        }

        n = send(c->fd, from, len, flags);

        if (n == -1) {
            if (errno == EAGAIN) {
                return;
            }

            /* what came before may be an answer all the same */

            if (c->sent && (errno == EPIPE || errno == ECONNRESET)) {
                c->refused = 1;
                listen_for(c, EPOLL_CTL_MOD);
                receive(c);
                return;
            }

            finish(c, &broken);
            return;
        }

        if (c->sent == 0) {
            sent++;
        }

        c->sent += n;
    }

    listen_for(c, EPOLL_CTL_MOD);
}


static void
handle(client_t *c, uint32_t events)
{
    int        error;
    uint64_t   number;
    socklen_t  len;

    if (c->fd == -1) {
        return;
    }

    if (!c->connected) {
        len = sizeof(int);

        if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1
            || error)
        {
            finish(c, &connect_errors);
            return;
        }

        c->connected = 1;
    }

    number = c->number;

    if (events & EPOLLOUT) {
        transmit(c);
    }

    if ((events & ~EPOLLOUT) && c->fd != -1 && c->number == number) {
        receive(c);
    }
}


static void
report(double seconds)
{
    unsigned     i;
    const char  *comma;

    printf("{\"sent\":%" PRIu64 ",\"answered\":%" PRIu64 ",\"connect\":%" PRIu64
           ",\"broken\":%" PRIu64 ",\"stale\":%" PRIu64 ",\"timeout\":%" PRIu64
           ",\"invalid\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"seconds\":%.3f",
           sent, answered, connect_errors, broken, stale, timeouts, invalid,
           bytes, seconds);

    printf(",\"status\":{");
    comma = "";

    for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        if (statuses[i]) {
            printf("%s\"%u\":%" PRIu64, comma, i, statuses[i]);
            comma = ",";
        }
    }

    printf("},\"arm\":{");
    comma = "";

    for (i = 0; i < arms_n; i++) {
        printf("%s\"%s\":%" PRIu64, comma, arms[i].name, arms[i].n);
        comma = ",";
    }

    printf("}}\n");
}


static uint64_t
number_of(const char *text, const char *what, uint64_t max)
{
    char      *end;
    uint64_t   n;

    errno = 0;
    n = strtoull(text, &end, 10);

    if (errno || end == text || *end != '\0' || *text == '-' || n > max) {
        die("invalid %s \"%s\"", what, text);
    }

    return n;
}


static void __attribute__((noreturn))
usage(void)
{
    fprintf(stderr,
"usage: load [OPTION...] PORT\n"
"\n"
"  -n N          uploads; 0: until SIGTERM, then the open ones are ended (1000)\n"
"  -c N          clients, each with one upload at a time (16)\n"
"  -k            keepalive; otherwise a connection for each upload\n"
"  -s SEED       of sizes and methods (1)\n"
"  -b MIN:MAX    sizes of the bodies in bytes (0:0)\n"
"  -m M[,M...]   methods (POST)\n"
"  -u URI        (/upload)\n"
"  -i PREFIX     upload i has the header \"X-Client-Id: PREFIXi\", i from 0 on\n"
"  -r HEADER     header of the answer to report; repeatable; counted: the first\n"
"  -o FILE       a line for each upload: i, status (0: none), reported headers\n"
"  -t MS         how long to wait for an answer (30000)\n");

    exit(2);
}


static void
options(int argc, char **argv)
{
    int    opt;
    char  *p;

    while ((opt = getopt(argc, argv, "n:c:ks:b:m:u:i:r:o:t:")) != -1) {

        switch (opt) {

        case 'n':
            uploads = number_of(optarg, "number", UINT64_MAX);
            break;

        case 'c':
            clients_n = number_of(optarg, "clients", LOAD_CLIENTS);
            break;

        case 'k':
            keepalive = 1;
            break;

        case 's':
            seed = number_of(optarg, "seed", UINT64_MAX);
            break;

        case 'b':
            p = strchr(optarg, ':');

            if (p == NULL) {
                die("invalid sizes \"%s\"", optarg);
            }

            *p++ = '\0';
            body_min = number_of(optarg, "size", LOAD_BODY);
            body_max = number_of(p, "size", LOAD_BODY);

            if (body_max < body_min) {
                die("invalid sizes");
            }

            break;

        case 'm':
            for (p = strtok(optarg, ","); p; p = strtok(NULL, ",")) {
                if (methods_n == LOAD_METHODS) {
                    die("too many methods");
                }

                methods[methods_n++] = p;
            }

            break;

        case 'u':
            uri = optarg;
            break;

        case 'i':
            prefix = optarg;
            break;

        case 'r':
            if (headers_n == LOAD_HEADERS) {
                die("too many headers");
            }

            headers[headers_n++] = optarg;
            break;

        case 'o':
            each = fopen(optarg, "w");

            if (each == NULL) {
                die("cannot open \"%s\": %s", optarg, strerror(errno));
            }

            break;

        case 't':
            timeout_ms = number_of(optarg, "time", 3600000);
            break;

        default:
            usage();
        }
    }

    if (optind != argc - 1 || clients_n == 0) {
        usage();
    }

    port = number_of(argv[optind], "port", 65535);

    if (methods_n == 0) {
        methods[methods_n++] = "POST";
    }

    if (strlen(uri) + (prefix ? strlen(prefix) : 0) > 1024) {
        die("URI and prefix are too long");
    }
}


int
main(int argc, char **argv)
{
    int                 i, n;
    uint64_t            begin, now, swept;
    struct sigaction    sa;
    struct epoll_event  events[LOAD_CLIENTS];

    options(argc, argv);

    memset(&sa, 0, sizeof(struct sigaction));
    sa.sa_handler = on_signal;
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGINT, &sa, NULL);

    epfd = epoll_create1(EPOLL_CLOEXEC);
    clients = calloc(clients_n, sizeof(client_t));
    body = malloc(body_max + 1);

    if (epfd == -1 || clients == NULL || body == NULL) {
        die("cannot start: %s", strerror(errno));
    }

    for (i = 0; (size_t) i < body_max; i++) {
        body[i] = 'a' + i % 26;
    }

    begin = now_ms();
    swept = begin;

    for (i = 0; i < (int) clients_n; i++) {
        clients[i].fd = -1;
        start(&clients[i]);
    }

    while (busy) {
        n = epoll_wait(epfd, events, LOAD_CLIENTS, 100);

        if (n == -1 && errno != EINTR) {
            die("epoll_wait() failed: %s", strerror(errno));
        }

        for (i = 0; i < n; i++) {
            handle(events[i].data.ptr, events[i].events);
        }

        now = now_ms();

        if (now - swept < 100) {
            continue;
        }

        swept = now;

        for (i = 0; i < (int) clients_n; i++) {
            if (clients[i].fd != -1 && clients[i].deadline <= now) {
                finish(&clients[i], &timeouts);
            }
        }
    }

    report((now_ms() - begin) / 1000.0);

    if (each && fclose(each) != 0) {
        die("cannot write the lines: %s", strerror(errno));
    }

    return 0;
}
