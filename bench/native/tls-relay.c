// TLS for the load generator. It takes over a connection to a server after the clear part of the handshake, and starts TLS 1.3 on this
// connection, as the client, with a PSK. It carries all data between this connection and one connection at a Unix socket, over which the
// generator talks in clear. Each connection has a relay process of its own, so that the server's CPU time does not contain the work of TLS
// at the client.
//   tls-relay SOCKET-PATH IDENTITY PSK-HEX [CIPHER-SUITE]     descriptor 3: the connection
// Prints one line when it listens: the suite of the session. Invariant: no byte is lost, in either direction; the end of one side ends
// both.

#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { SERVER_FD = 3, CAPACITY = 256 * 1024, PSK_MAX = 64 };

/** Bytes on their way in one direction. */
struct way {
  uint8_t bytes[CAPACITY];
  size_t begin, end;
};

static struct way out, in;
static const char *identity;
static uint8_t psk[PSK_MAX];
static size_t psk_length;

static void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

static void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("tls-relay: ", stderr);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  ERR_print_errors_fp(stderr);
  exit(1);
}

static unsigned give_psk(SSL *ssl, const char *hint, char *to_identity, unsigned identity_max, unsigned char *to, unsigned max) {
  (void)ssl;
  (void)hint;
  if (strlen(identity) >= identity_max || psk_length > max) return 0;
  strcpy(to_identity, identity);
  memcpy(to, psk, psk_length);
  return (unsigned)psk_length;
}

static SSL *start_tls(const char *suite) {
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  if (context == NULL || !SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) || !SSL_CTX_set_ciphersuites(context, suite))
    fail("OpenSSL offers no TLS 1.3 with %s", suite);
  SSL_CTX_set_psk_client_callback(context, give_psk);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_default_read_buffer_len(context, CAPACITY);
  SSL *ssl = SSL_new(context);
  if (ssl == NULL || !SSL_set_fd(ssl, SERVER_FD)) fail("No TLS connection could be made");
  const int flags = fcntl(SERVER_FD, F_GETFL);
  if (fcntl(SERVER_FD, F_SETFL, flags & ~O_NONBLOCK) != 0) fail("fcntl: %s", strerror(errno));
  if (SSL_connect(ssl) != 1) fail("The server refused TLS");
  if (fcntl(SERVER_FD, F_SETFL, flags | O_NONBLOCK) != 0) fail("fcntl: %s", strerror(errno));
  return ssl;
}

/** Listens at the Unix socket, and returns the connection of the generator. */
static int meet(const char *path, const char *suite) {
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  if (strlen(path) >= sizeof address.sun_path) fail("The path is too long: %s", path);
  strcpy(address.sun_path, path);
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 1) != 0)
    fail("%s: %s", path, strerror(errno));
  printf("%s\n", suite);
  fflush(stdout);
  const int met = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (met < 0) fail("accept: %s", strerror(errno));
  close(listener);
  unlink(path);
  return met;
}

static void settle(struct way *way, size_t count) {
  way->begin += count;
  if (way->begin == way->end) way->begin = way->end = 0;
}

/**
 * Carries bytes from the generator to the server. Returns 1 if bytes are left that the TLS connection does not accept yet; otherwise 0.
 */
static int to_server(SSL *ssl, int local) {
  for (;;) {
    if (out.end == 0) {
      const ssize_t got = recv(local, out.bytes, CAPACITY, MSG_DONTWAIT);
      if (got == 0) exit(0);
      if (got < 0) {
        if (errno == EAGAIN || errno == EINTR) return 0;
        exit(0);
      }
      out.end = (size_t)got;
    }
    const int sent = SSL_write(ssl, out.bytes + out.begin, (int)(out.end - out.begin));
    if (sent <= 0) {
      if (SSL_get_error(ssl, sent) == SSL_ERROR_WANT_WRITE) return 1;
      fail("The connection to the server broke");
    }
    settle(&out, (size_t)sent);
  }
}

/**
 * Carries bytes from the server to the generator. Returns 1 if bytes are left that the Unix socket does not accept yet; otherwise 0.
 */
static int to_local(SSL *ssl, int local) {
  for (;;) {
    int is_drained = 0;
    while (in.end < CAPACITY && !is_drained) {
      const int got = SSL_read(ssl, in.bytes + in.end, (int)(CAPACITY - in.end));
      if (got > 0) {
        in.end += (size_t)got;
        continue;
      }
      const int error = SSL_get_error(ssl, got);
      if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) is_drained = 1;
      else exit(0);
    }
    while (in.begin < in.end) {
      const ssize_t sent = send(local, in.bytes + in.begin, in.end - in.begin, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent < 0 && errno == EAGAIN) return 1;
      if (sent < 0 && errno != EINTR) exit(0);
      if (sent > 0) settle(&in, (size_t)sent);
    }
    if (is_drained) return 0;
  }
}

int main(int count, char **arguments) {
  if (count < 4) fail("usage: tls-relay SOCKET-PATH IDENTITY PSK-HEX [CIPHER-SUITE]");
  const char *suite = count > 4 ? arguments[4] : "TLS_AES_128_GCM_SHA256";
  identity = arguments[2];
  unsigned byte;
  for (const char *hex = arguments[3]; psk_length < PSK_MAX && sscanf(hex, "%2x", &byte) == 1; hex += 2) psk[psk_length++] = (uint8_t)byte;
  signal(SIGPIPE, SIG_IGN);
  SSL *ssl = start_tls(suite);
  const int local = meet(arguments[1], SSL_get_cipher(ssl));
  for (;;) {
    const int waits_for_server = to_server(ssl, local);
    const int waits_for_local = to_local(ssl, local);
    struct pollfd polled[] = {
      { .fd = SERVER_FD, .events = (short)((waits_for_local ? 0 : POLLIN) | (waits_for_server ? POLLOUT : 0)) },
      { .fd = local, .events = (short)((waits_for_server ? 0 : POLLIN) | (waits_for_local ? POLLOUT : 0)) },
    };
    if (poll(polled, 2, -1) < 0 && errno != EINTR) fail("poll: %s", strerror(errno));
  }
}
