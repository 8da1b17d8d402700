/*
 * A bounded flood of REGISTERs and other packets with source addresses of one's choice, for a siege in network namespaces of our own.
 * It writes Ethernet frames to an AF_PACKET socket, so it can have any source, and it is paced in steps of 0.1 ms.
 *
 *   flood KEY=VALUE ...
 *     device, mac (of the next hop), to, port     where it goes
 *     rate, seconds                                packets a second (0: as fast as it can), and for how long
 *     seed                                         of all that is random
 *     sources=N     a pool of N addresses in turn, each with a port of its own that stays
 *     sources=new   each packet from an address that never sent before
 *     sources=twice the same, and each of them again half a second later
 *     list=FILE     addresses in turn, one a line, `ADDRESS` (random ports) or `ADDRESS:PORT`
 *     ports=random  every packet from another port
 *     packets=A,B   what they are, in turn: register, crlf, fragments, oversized, options, invite, response, junk
 *     first, addresses   where the addresses begin and how many there are, a power of two
 *     user=NAME     what stands before the number in the accounts' names
 *
 * Says what it sent as one line of JSON. Compiled when a siege begins, or `ringfence simulate`.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define HEADERS (14 + 20 + 8)
#define BATCH 64
#define LONGEST 1514
/* The text is no longer than what one frame holds. */
#define LONGEST_TEXT (LONGEST - HEADERS)
/* Bytes of a first fragment behind its IP header: a multiple of eight. */
#define FIRST_FRAGMENT 72
#define MOST_PACKETS 32
#define MOST_CRLF 60
/* 67 million addresses from here on, which are nobody's in a namespace of our own. */
#define FIRST_ADDRESS 0x10000000u
#define ADDRESSES (1u << 26)
#define MOST_SECONDS 7200.0
#define MOST_LISTED 65536
#define MOST_NAME 32

struct source {
  uint32_t address;
  uint16_t port;
};

static volatile sig_atomic_t ended;
static uint32_t seed = 1;
static uint32_t first_address = FIRST_ADDRESS, addresses = ADDRESSES;
static const char *user_name = "";
static struct source *listed;
static size_t listed_count;
static enum { POOL, NEW, TWICE, LISTED } kind = POOL;
static uint32_t pool = 1;
static int random_ports;
static double rate;
/* A packet in fragments is two frames, one after the other. */
static enum packet { REGISTER, CRLF, FRAGMENT_1, FRAGMENT_2, OVERSIZED, OPTIONS, INVITE, RESPONSE, JUNK } packets[MOST_PACKETS];
static size_t packet_count;

static void end(int signal_number) {
  (void)signal_number;
  ended = 1;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static uint32_t scramble(uint32_t value) {
  value ^= value >> 16;
  value *= 0x7feb352du;
  value ^= value >> 15;
  value *= 0x846ca68bu;
  return value ^ (value >> 16);
}

/* A different address for each number below `addresses`, spread over all of them: an odd factor is a permutation. */
static struct source numbered(uint32_t number) {
  struct source source;
  source.address = first_address + ((number * 2654435761u + scramble(seed)) & (addresses - 1));
  source.port = (uint16_t)(1024 + scramble(number ^ seed) % 60000);
  return source;
}

static struct source choose(uint64_t count) {
  struct source source;
  if (kind == LISTED) source = listed[count % listed_count];
  else if (kind == POOL) source = numbered((uint32_t)(count % pool));
  else if (kind == NEW) source = numbered((uint32_t)count);
  else {
    /* Every other packet repeats the one of half a second ago, of which there are a quarter of a second's packets. */
    uint64_t half = count / 2, ago = (uint64_t)(rate / 4);
    source = numbered((uint32_t)(count % 2 && half >= ago ? half - ago : half));
  }
  if (random_ports || source.port == 0) source.port = (uint16_t)(1024 + scramble((uint32_t)count ^ seed) % 60000);
  return source;
}

static uint16_t checksum(const unsigned char *bytes) {
  uint32_t sum = 0;
  for (int at = 0; at < 20; at += 2) sum += (uint32_t)(bytes[at] << 8 | bytes[at + 1]);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

/* What a packet says; gives its length. The account is one of those that exist. */
static int say(char *text, enum packet packet, struct source source, uint32_t to, uint64_t count) {
  struct in_addr address = {.s_addr = htonl(source.address)};
  char host[INET_ADDRSTRLEN], server[INET_ADDRSTRLEN];
  inet_ntop(AF_INET, &address, host, sizeof host);
  address.s_addr = to;
  inet_ntop(AF_INET, &address, server, sizeof server);
  unsigned user = 1000 + scramble((uint32_t)count ^ ~seed) % 5000;
  if (packet == JUNK) {
    int length = 20 + (int)(scramble((uint32_t)count) % 400);
    for (int at = 0; at < length; at++) text[at] = (char)scramble((uint32_t)count * 421 + (uint32_t)at);
    return length;
  }
  if (packet == RESPONSE)
    return snprintf(text, LONGEST_TEXT,
                    "SIP/2.0 %s\r\n"
                    "Via: SIP/2.0/UDP %s:5060;branch=z9hG4bK%08x%08llx\r\n"
                    "From: <sip:%s>;tag=%08x\r\n"
                    "To: <sip:%s%u@%s>;tag=%08llx\r\n"
                    "Call-ID: %08x%08llx@%s\r\n"
                    "CSeq: 1 %s\r\n"
                    "Content-Length: 0\r\n\r\n",
                    count % 2 ? "200 OK" : "401 Unauthorized", server, seed, (unsigned long long)count, server, seed,
                    user_name, user, host, (unsigned long long)count, seed, (unsigned long long)count, server,
                    count % 2 ? "OPTIONS" : "REGISTER");
  int length = 0;
  if (packet == CRLF) {
    /* Kamailio and others pass over as many as there are. */
    int pairs = 1 + (int)(scramble((uint32_t)count) % MOST_CRLF);
    for (; pairs > 0; pairs--) length += snprintf(text + length, 3, "\r\n");
  }
  const char *method = packet == OPTIONS ? "OPTIONS" : packet == INVITE ? "INVITE" : "REGISTER";
  char contact[1000];
  int more = packet == OVERSIZED ? (int)sizeof contact - 1 : 0;
  memset(contact, 'x', sizeof contact);
  if (more) memcpy(contact, ";x=", 3);
  contact[more] = 0;
  return length + snprintf(text + length, LONGEST_TEXT - (size_t)length,
                           "%s sip:%s SIP/2.0\r\n"
                           "Via: SIP/2.0/UDP %s:%u;branch=z9hG4bK%08x%08llx;rport\r\n"
                           "Max-Forwards: 70\r\n"
                           "From: <sip:%s%u@%s>;tag=%08x\r\n"
                           "To: <sip:%s%u@%s>\r\n"
                           "Call-ID: %08x%08llx@%s\r\n"
                           "CSeq: 1 %s\r\n"
                           "Contact: <sip:%s%u@%s:%u>%s\r\n"
                           "Expires: 3600\r\n"
                           "Content-Length: 0\r\n\r\n",
                           method, server, host, source.port, seed, (unsigned long long)count, user_name, user, server,
                           (uint32_t)count, user_name, user, server, seed, (unsigned long long)count, host, method,
                           user_name, user, host, source.port, contact);
}

/* The frame of number `count`; gives its length. */
static int fill(unsigned char *frame, const unsigned char *ethernet, uint32_t to, uint16_t port, uint64_t count) {
  static char text[LONGEST_TEXT];
  enum packet packet = packets[count % packet_count];
  uint64_t of = packet == FRAGMENT_2 ? count - 1 : count;
  struct source source = choose(of);
  int length = say(text, packet, source, to, of);
  if (length >= LONGEST_TEXT) length = LONGEST_TEXT - 1;
  int total = 8 + length;
  memcpy(frame, ethernet, 14);
  unsigned char *ip = frame + 14, *udp = frame + 34;
  memset(ip, 0, 28);
  ip[0] = 0x45;
  ip[8] = 63;
  ip[9] = 17;
  *(uint32_t *)(ip + 12) = htonl(source.address);
  *(uint32_t *)(ip + 16) = to;
  int held = total;
  if (packet == FRAGMENT_2) {
    held = total - FIRST_FRAGMENT;
    memcpy(udp, text + FIRST_FRAGMENT - 8, (size_t)held);
    *(uint16_t *)(ip + 6) = htons(FIRST_FRAGMENT / 8);
  } else {
    *(uint16_t *)udp = htons(source.port);
    *(uint16_t *)(udp + 2) = htons(port);
    *(uint16_t *)(udp + 4) = htons((uint16_t)total);
    /* The checksum of UDP stays zero, which means none. */
    memcpy(udp + 8, text, (size_t)length);
    if (packet == FRAGMENT_1) {
      held = FIRST_FRAGMENT;
      *(uint16_t *)(ip + 6) = htons(0x2000);
    }
  }
  if (packet == FRAGMENT_1 || packet == FRAGMENT_2) *(uint16_t *)(ip + 4) = htons((uint16_t)of);
  *(uint16_t *)(ip + 2) = htons((uint16_t)(20 + held));
  *(uint16_t *)(ip + 10) = htons(checksum(ip));
  return 34 + held;
}

static void fail(const char *what) {
  fprintf(stderr, "flood: %s\n", what);
  exit(2);
}

static void read_list(const char *file) {
  FILE *stream = fopen(file, "r");
  char line[64];
  if (!stream) fail("the list cannot be read");
  listed = calloc(MOST_LISTED, sizeof *listed);
  while (listed_count < MOST_LISTED && fgets(line, sizeof line, stream)) {
    char *colon = strchr(line, ':');
    if (colon) *colon = 0;
    line[strcspn(line, "\n")] = 0;
    struct in_addr address;
    if (!inet_aton(line, &address)) fail("the list holds something that is no address");
    listed[listed_count].address = ntohl(address.s_addr);
    listed[listed_count++].port = colon ? (uint16_t)atoi(colon + 1) : 0;
  }
  fclose(stream);
  if (!listed_count) fail("the list is empty");
}

static void add_packet(enum packet packet) {
  if (packet_count == MOST_PACKETS) fail("too many kinds of packets");
  packets[packet_count++] = packet;
}

static void read_packets(char *list) {
  for (char *name = strtok(list, ","); name; name = strtok(NULL, ",")) {
    if (!strcmp(name, "register")) add_packet(REGISTER);
    else if (!strcmp(name, "crlf")) add_packet(CRLF);
    else if (!strcmp(name, "fragments")) { add_packet(FRAGMENT_1); add_packet(FRAGMENT_2); }
    else if (!strcmp(name, "oversized")) add_packet(OVERSIZED);
    else if (!strcmp(name, "options")) add_packet(OPTIONS);
    else if (!strcmp(name, "invite")) add_packet(INVITE);
    else if (!strcmp(name, "response")) add_packet(RESPONSE);
    else if (!strcmp(name, "junk")) add_packet(JUNK);
    else fail("knows no such packet");
  }
}

int main(int argc, char **argv) {
  const char *device = "eth0";
  unsigned char ethernet[14] = {0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 8, 0};
  uint32_t to = 0;
  uint16_t port = 5060;
  double seconds = 1;
  for (int i = 1; i < argc; i++) {
    char *value = strchr(argv[i], '=');
    if (!value) fail("takes KEY=VALUE");
    *value++ = 0;
    const char *key = argv[i];
    if (!strcmp(key, "device")) device = value;
    else if (!strcmp(key, "mac")) {
      unsigned byte[6];
      if (sscanf(value, "%x:%x:%x:%x:%x:%x", byte, byte + 1, byte + 2, byte + 3, byte + 4, byte + 5) != 6) fail("mac");
      for (int at = 0; at < 6; at++) ethernet[at] = (unsigned char)byte[at];
    } else if (!strcmp(key, "to")) to = inet_addr(value);
    else if (!strcmp(key, "port")) port = (uint16_t)atoi(value);
    else if (!strcmp(key, "rate")) rate = atof(value);
    else if (!strcmp(key, "seconds")) seconds = atof(value);
    else if (!strcmp(key, "seed")) seed = (uint32_t)atoll(value);
    else if (!strcmp(key, "ports")) random_ports = !strcmp(value, "random");
    else if (!strcmp(key, "packets")) read_packets(value);
    else if (!strcmp(key, "first")) first_address = ntohl(inet_addr(value));
    else if (!strcmp(key, "addresses")) addresses = (uint32_t)atol(value);
    else if (!strcmp(key, "user")) {
      if (strlen(value) > MOST_NAME) fail("user");
      user_name = value;
    }
    else if (!strcmp(key, "list")) { kind = LISTED; read_list(value); }
    else if (!strcmp(key, "sources")) {
      if (!strcmp(value, "new")) kind = NEW;
      else if (!strcmp(value, "twice")) kind = TWICE;
      else if ((pool = (uint32_t)atol(value)) == 0) fail("sources");
    } else fail("knows no such key");
  }
  if (!to || seconds <= 0 || seconds > MOST_SECONDS) fail("needs to=ADDRESS and seconds=N");
  if (!addresses || addresses & (addresses - 1)) fail("addresses takes a power of two");
  if (!packet_count) add_packet(REGISTER);
  if (kind == TWICE && rate <= 0) fail("sources=twice needs a rate");
  signal(SIGTERM, end);
  signal(SIGINT, end);

  int out = socket(AF_PACKET, SOCK_RAW, 0), one = 1;
  if (out < 0) fail("needs root");
  struct sockaddr_ll link = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(device)};
  if (!link.sll_ifindex || bind(out, (struct sockaddr *)&link, sizeof link)) fail("no such device");
  setsockopt(out, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one);

  static unsigned char frames[BATCH][LONGEST];
  struct iovec parts[BATCH];
  struct mmsghdr messages[BATCH];
  memset(messages, 0, sizeof messages);
  for (int i = 0; i < BATCH; i++) {
    parts[i].iov_base = frames[i];
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  double begun = now(), time = begun, owed = 0, last = begun;
  uint64_t sent = 0;
  while (!ended && (time = now()) < begun + seconds) {
    int count = BATCH;
    if (rate > 0) {
      owed += (time - last) * rate;
      /* What could not be sent in time is let go: the flood must not be faster afterwards. */
      if (owed > rate * 0.05 + BATCH) owed = rate * 0.05 + BATCH;
      count = owed < BATCH ? (int)owed : BATCH;
    }
    last = time;
    if (count == 0) {
      struct timespec pause = {0, 100000};
      nanosleep(&pause, NULL);
      continue;
    }
    for (int i = 0; i < count; i++) parts[i].iov_len = (size_t)fill(frames[i], ethernet, to, port, sent + (uint64_t)i);
    int done = sendmmsg(out, messages, (unsigned)count, 0);
    if (done < 0) {
      if (errno == ENOBUFS || errno == EAGAIN || errno == EINTR) continue;
      fail(strerror(errno));
    }
    sent += (uint64_t)done;
    owed -= done;
  }
  printf("{\"sent\":%llu,\"seconds\":%.3f,\"begun\":%.3f}\n", (unsigned long long)sent, time - begun, begun * 1e3);
  return 0;
}
