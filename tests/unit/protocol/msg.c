/* SPDX-License-Identifier: GPL-2.0-or-later */
/* protocol/msg.c: what is well-formed is read, and each rule of wire.h that can be broken is
 * refused. */
#include <errno.h>
#include <glib.h>
#include <string.h>

#include "msg.h"

static struct vh_frame frame_of(enum vh_type type, const void *payload, size_t len)
{
    return (struct vh_frame){
        .type = (uint8_t)type, .version = 1, .data = payload, .len = (uint32_t)len};
}

static struct vh_hello good_hello(void)
{
    return (struct vh_hello){
        .magic = VH_HELLO_MAGIC,
        .version_min = 1,
        .version_max = 1,
        .session = 42,
        .role = VH_ROLE_GUEST,
        .release = "6.1.0-test",
        .agent = "vhint-injector test",
    };
}

static void test_names(void)
{
    char longest[VH_NAME_SIZE];

    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = 0;
    g_assert_true(vh_name_valid("affinity"));
    g_assert_true(vh_name_valid("A.b-c_9"));
    g_assert_true(vh_name_valid(longest));
    g_assert_false(vh_name_valid(""));
    g_assert_false(vh_name_valid(".hidden"));
    g_assert_false(vh_name_valid("-option"));
    g_assert_false(vh_name_valid("a/b"));
    g_assert_false(vh_name_valid("a b"));
    g_assert_cmpstr(vh_type_name(VH_RESYNC), ==, "RESYNC");
    g_assert_cmpstr(vh_type_name(255), ==, "?");
}

static void test_hello(void)
{
    struct vh_hello hello = good_hello();
    struct vh_hello got;
    struct vh_hello broken;
    uint8_t longer[sizeof(hello) + 8] = {0};
    struct vh_frame frame = frame_of(VH_HELLO, &hello, sizeof(hello));

    g_assert_cmpint(vh_msg_hello(&frame, &got), ==, 0);
    g_assert_cmpint(vh_hello_version(&got), ==, 1);
    memcpy(longer, &hello, sizeof(hello));
    frame = frame_of(VH_HELLO, longer, sizeof(longer));
    g_assert_cmpint(vh_msg_hello(&frame, &got), ==, 0);
    frame = frame_of(VH_HELLO, &hello, sizeof(hello) - 1);
    g_assert_cmpint(vh_msg_hello(&frame, &got), ==, -EBADMSG);

    frame = frame_of(VH_HELLO, &broken, sizeof(broken));
    broken = hello;
    broken.magic++;
    g_assert_cmpint(vh_msg_hello(&frame, &got), ==, -EBADMSG);
    broken = hello;
    broken.session = 0;
    g_assert_cmpint(vh_msg_hello(&frame, &got), ==, -EBADMSG);
    broken = hello;
    broken.role = 9;
    g_assert_cmpint(vh_msg_hello(&frame, &got), ==, -EBADMSG);
    broken = hello;
    memset(broken.release, 'x', sizeof(broken.release));
    g_assert_cmpint(vh_msg_hello(&frame, &got), ==, -EBADMSG);

    broken = hello;
    broken.version_min = VH_WIRE_MAX + 1;
    broken.version_max = VH_WIRE_MAX + 3;
    g_assert_cmpint(vh_msg_hello(&frame, &got), ==, 0);
    g_assert_cmpint(vh_hello_version(&got), ==, -EPROTONOSUPPORT);
}

static int read_load(struct vh_load load, const char *tunables, size_t len)
{
    uint8_t payload[sizeof(load) + 256];
    struct vh_load got;
    const char *text;
    struct vh_frame frame = frame_of(VH_LOAD, payload, sizeof(load) + len);

    memcpy(payload, &load, sizeof(load));
    memcpy(payload + sizeof(load), tunables, len);
    return vh_msg_load(&frame, &got, &text);
}

static void test_load(void)
{
    struct vh_load load = {.name = "affinity", .size = 100, .tunables_len = 8};
    struct vh_load broken;

    g_assert_cmpint(read_load(load, "a=1\0b=2\0", 8), ==, 0);
    g_assert_cmpint(read_load(load, "a=1\0b=2x", 8), ==, -EBADMSG);
    g_assert_cmpint(read_load(load, "a=1\0bb2\0", 8), ==, -EBADMSG);
    g_assert_cmpint(read_load(load, "a=1\0=22\0", 8), ==, -EBADMSG);
    g_assert_cmpint(read_load(load, "a=1\0b=2\0", 7), ==, -EBADMSG);
    broken = load;
    broken.flags = 2;
    g_assert_cmpint(read_load(broken, "a=1\0b=2\0", 8), ==, -EBADMSG);
    broken = load;
    broken.reserved2 = 1;
    g_assert_cmpint(read_load(broken, "a=1\0b=2\0", 8), ==, -EBADMSG);
    broken = load;
    memset(broken.name, 'a', sizeof(broken.name));
    g_assert_cmpint(read_load(broken, "a=1\0b=2\0", 8), ==, -EBADMSG);
    broken = load;
    strcpy(broken.name, "../etc");
    g_assert_cmpint(read_load(broken, "a=1\0b=2\0", 8), ==, -EBADMSG);
    broken = load;
    broken.tunables_len = UINT32_MAX;
    g_assert_cmpint(read_load(broken, "a=1\0b=2\0", 8), ==, -EBADMSG);
}

static int read_cpus(const struct vh_cpu *cpus, uint32_t count, uint32_t claimed)
{
    uint8_t payload[sizeof(struct vh_cpus) + 8 * sizeof(struct vh_cpu)] = {0};
    struct vh_cpus head = {.count = claimed};
    struct vh_cpu got[VH_CPUS_MAX];
    uint32_t n = 0;
    struct vh_frame frame = frame_of(VH_CPUS, payload, sizeof(head) + count * sizeof(cpus[0]));

    memcpy(payload, &head, sizeof(head));
    memcpy(payload + sizeof(head), cpus, count * sizeof(cpus[0]));
    return vh_msg_cpus(&frame, got, &n);
}

static void test_cpus(void)
{
    const struct vh_cpu good[] = {{0, 0, VH_CPU_ONLINE}, {1, 2, 0}, {7, 9, VH_CPU_ONLINE}};
    const struct vh_cpu unordered[] = {{1, 0, 0}, {0, 1, 0}};
    const struct vh_cpu twice[] = {{1, 0, 0}, {1, 1, 0}};
    const struct vh_cpu same_apic[] = {{0, 3, 0}, {1, 3, 0}};
    const struct vh_cpu unknown_apic[] = {{0, VH_APIC_UNKNOWN, 0}, {1, VH_APIC_UNKNOWN, 0}};
    const struct vh_cpu beyond[] = {{VH_CPUS_MAX, 0, 0}};

    g_assert_cmpint(read_cpus(good, 3, 3), ==, 0);
    g_assert_cmpint(read_cpus(unknown_apic, 2, 2), ==, 0);
    g_assert_cmpint(read_cpus(good, 3, 2), ==, -EBADMSG);
    g_assert_cmpint(read_cpus(good, 3, 4), ==, -EBADMSG);
    g_assert_cmpint(read_cpus(good, 3, UINT32_MAX), ==, -EBADMSG);
    g_assert_cmpint(read_cpus(unordered, 2, 2), ==, -EBADMSG);
    g_assert_cmpint(read_cpus(twice, 2, 2), ==, -EBADMSG);
    g_assert_cmpint(read_cpus(same_apic, 2, 2), ==, -EBADMSG);
    g_assert_cmpint(read_cpus(beyond, 1, 1), ==, -EBADMSG);
}

static int read_programs(const struct vh_program *programs, uint32_t count)
{
    uint8_t payload[sizeof(struct vh_programs) + 4 * sizeof(struct vh_program)];
    struct vh_programs head = {.count = count};
    struct vh_program got[VH_PROGRAMS_MAX];
    uint32_t n = 0;
    struct vh_frame frame =
        frame_of(VH_PROGRAMS, payload, sizeof(head) + count * sizeof(programs[0]));

    memcpy(payload, &head, sizeof(head));
    memcpy(payload + sizeof(head), programs, count * sizeof(programs[0]));
    return vh_msg_programs(&frame, got, &n);
}

static void test_programs(void)
{
    struct vh_program programs[] = {{.id = 1, .name = "a", .flags = VH_PROGRAM_HINTS},
                                    {.id = 2, .name = "b"}};

    g_assert_cmpint(read_programs(programs, 2), ==, 0);
    programs[1].id = 1;
    g_assert_cmpint(read_programs(programs, 2), ==, -EBADMSG);
    programs[1].id = 0;
    g_assert_cmpint(read_programs(programs, 2), ==, -EBADMSG);
    programs[1].id = 2;
    strcpy(programs[1].name, "a");
    g_assert_cmpint(read_programs(programs, 2), ==, -EBADMSG);
    strcpy(programs[1].name, "b");
    programs[1].flags = 0x80;
    g_assert_cmpint(read_programs(programs, 2), ==, -EBADMSG);
}

static void test_answer(void)
{
    struct vh_answer answer = {.error = EINVAL, .text_len = 4, .log_len = 3};
    uint8_t payload[sizeof(answer) + 7];
    struct vh_answer got;
    const char *text = NULL;
    const char *log = NULL;
    struct vh_frame frame = frame_of(VH_ANSWER, payload, sizeof(payload));

    memcpy(payload, &answer, sizeof(answer));
    memcpy(payload + sizeof(answer), "textlog", 7);
    g_assert_cmpint(vh_msg_answer(&frame, &got, &text, &log), ==, 0);
    g_assert_cmpmem(text, got.text_len, "text", 4);
    g_assert_cmpmem(log, got.log_len, "log", 3);
    frame.len--;
    g_assert_cmpint(vh_msg_answer(&frame, &got, &text, &log), ==, -EBADMSG);
    frame.len++;
    ((struct vh_answer *)payload)->text_len = UINT32_MAX;
    ((struct vh_answer *)payload)->log_len = 8;
    g_assert_cmpint(vh_msg_answer(&frame, &got, &text, &log), ==, -EBADMSG);
}

static void test_trouble(void)
{
    struct vh_trouble trouble = {.program = 3, .text_len = 4};
    uint8_t payload[sizeof(trouble) + 4];
    struct vh_trouble got;
    const char *text = NULL;
    struct vh_frame frame = frame_of(VH_TROUBLE, payload, sizeof(payload));

    memcpy(payload, &trouble, sizeof(trouble));
    memcpy(payload + sizeof(trouble), "text", 4);
    g_assert_cmpint(vh_msg_trouble(&frame, &got, &text), ==, 0);
    g_assert_cmpuint(got.program, ==, 3);
    g_assert_cmpmem(text, got.text_len, "text", 4);
    frame.len--;
    g_assert_cmpint(vh_msg_trouble(&frame, &got, &text), ==, -EBADMSG);
    frame.len = sizeof(trouble) - 1;
    g_assert_cmpint(vh_msg_trouble(&frame, &got, &text), ==, -EBADMSG);
    frame.len = sizeof(payload);
    ((struct vh_trouble *)payload)->text_len = UINT32_MAX;
    g_assert_cmpint(vh_msg_trouble(&frame, &got, &text), ==, -EBADMSG);
    ((struct vh_trouble *)payload)->text_len = 4;
    ((struct vh_trouble *)payload)->program = 0;
    g_assert_cmpint(vh_msg_trouble(&frame, &got, &text), ==, -EBADMSG);
}

static void test_chunk_and_fixed(void)
{
    static uint8_t payload[sizeof(struct vh_chunk) + VH_CHUNK_MAX + 1];
    struct vh_chunk chunk;
    const uint8_t *data = NULL;
    uint32_t len = 0;
    struct vh_credit credit;
    struct vh_unload unload = {.name = "x"};
    struct vh_unload got;
    struct vh_frame frame = frame_of(VH_CHUNK, payload, sizeof(payload) - 1);

    g_assert_cmpint(vh_msg_chunk(&frame, &chunk, &data, &len), ==, 0);
    g_assert_cmpuint(len, ==, VH_CHUNK_MAX);
    frame.len++;
    g_assert_cmpint(vh_msg_chunk(&frame, &chunk, &data, &len), ==, -EBADMSG);
    frame.len = sizeof(chunk);
    g_assert_cmpint(vh_msg_chunk(&frame, &chunk, &data, &len), ==, -EBADMSG);
    frame.len = 0;
    g_assert_cmpint(vh_msg_credit(&frame, &credit), ==, -EBADMSG);
    frame = frame_of(VH_UNLOAD, &unload, sizeof(unload));
    g_assert_cmpint(vh_msg_unload(&frame, &got), ==, 0);
    frame.len--;
    g_assert_cmpint(vh_msg_unload(&frame, &got), ==, -EBADMSG);
}

/* A HINTS payload of two records, the first of an odd size. */
typedef struct {
    struct vh_batch batch;
    struct vh_hint first;
    uint8_t first_body[8]; /* 5 used */
    struct vh_hint second;
} TwoRecords;

static TwoRecords two_records(void)
{
    return (TwoRecords){
        .batch = {.program = 3, .count = 2, .seq = 10},
        .first = {.size = sizeof(struct vh_hint) + 5, .kind = 1, .key_size = 4},
        .first_body = "abcde",
        .second = {.size = sizeof(struct vh_hint), .kind = 2},
    };
}

static int read_batch(const TwoRecords *two, size_t len, guint *seen)
{
    struct vh_frame frame = frame_of(VH_HINTS, two, len);
    struct vh_batch batch;
    struct vh_records records;
    struct vh_hint hint;
    int r = vh_msg_batch(&frame, &batch, &records);

    *seen = 0;
    while (r == 0 && vh_records_next(&records, &hint))
        (*seen)++;
    return r;
}

static void test_batch(void)
{
    TwoRecords two = two_records();
    guint seen;

    g_assert_cmpint(read_batch(&two, sizeof(two), &seen), ==, 0);
    g_assert_cmpuint(seen, ==, 2);
    g_assert_cmpint(read_batch(&two, sizeof(two) - 1, &seen), ==, -EBADMSG);

    two.batch.count = 1;
    g_assert_cmpint(read_batch(&two, sizeof(two), &seen), ==, -EBADMSG);
    two.batch.count = UINT32_MAX;
    g_assert_cmpint(read_batch(&two, sizeof(two), &seen), ==, -EBADMSG);
    two = two_records();
    two.first.size = sizeof(struct vh_hint) - 1;
    g_assert_cmpint(read_batch(&two, sizeof(two), &seen), ==, -EBADMSG);
    two = two_records();
    two.first.size = UINT16_MAX;
    g_assert_cmpint(read_batch(&two, sizeof(two), &seen), ==, -EBADMSG);
    two = two_records();
    two.first.key_size = 6;
    g_assert_cmpint(read_batch(&two, sizeof(two), &seen), ==, -EBADMSG);
    two = two_records();
    two.second.flags = 0x8000;
    g_assert_cmpint(read_batch(&two, sizeof(two), &seen), ==, -EBADMSG);
    two = two_records();
    two.batch.program = 0;
    g_assert_cmpint(read_batch(&two, sizeof(two), &seen), ==, -EBADMSG);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/msg/names", test_names);
    g_test_add_func("/msg/hello", test_hello);
    g_test_add_func("/msg/load", test_load);
    g_test_add_func("/msg/cpus", test_cpus);
    g_test_add_func("/msg/programs", test_programs);
    g_test_add_func("/msg/answer", test_answer);
    g_test_add_func("/msg/trouble", test_trouble);
    g_test_add_func("/msg/chunk-and-fixed", test_chunk_and_fixed);
    g_test_add_func("/msg/batch", test_batch);
    return g_test_run();
}
