/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/programs/programs.c, programs/calls.c and programs/kept.c: a guest's programs as wanted,
 * over a session with a fake peer.
 */
#include "programs/programs.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>

#include "base/error.h"
#include "lib/loop.h"
#include "lib/objects.h"
#include "programs/state.h"
#include "programs/travel.h"

#define HOST 0x1111u

struct fixture {
    VhScratch *scratch;
    char *directory;
    VhSession *session;
    VhPrograms *programs;
    GByteArray *sent;
    uint32_t last_id;
    GString *gone;
    GAsyncResult *result;
    guint injected; /* calls */
    guint troubles; /* steps that tell of one */
    guint waits;    /* steps that tell that programs wait */
    size_t room;
};

static size_t on_room(gpointer data)
{
    return ((struct fixture *)data)->room;
}

static void on_send(const uint8_t *bytes, size_t len, gpointer data)
{
    g_byte_array_append(((struct fixture *)data)->sent, bytes, (guint)len);
}

static bool may_begin(G_GNUC_UNUSED gpointer data)
{
    return true;
}

static void on_up(const struct vh_hello *guest, gpointer data)
{
    struct fixture *f = data;

    vh_programs_up(f->programs, f->session, guest->boot_id);
}

static void on_down(G_GNUC_UNUSED const char *why, gpointer data)
{
    vh_programs_down(((struct fixture *)data)->programs);
}

static void on_programs(const struct vh_program *programs, uint32_t count, gpointer data)
{
    vh_programs_report(((struct fixture *)data)->programs, programs, count);
}

static void on_trouble(uint32_t program, const char *text, gpointer data)
{
    vh_programs_trouble(((struct fixture *)data)->programs, program, text);
}

static void on_asked(G_GNUC_UNUSED gpointer data)
{
}

static void on_answered(gpointer data)
{
    vh_programs_go_on(((struct fixture *)data)->programs);
}

static void on_complaint(const char *text, G_GNUC_UNUSED gpointer data)
{
    g_test_message("%s", text);
}

static const struct vh_session_funcs session_funcs = {.room = on_room,
                                                      .send = on_send,
                                                      .may_begin = may_begin,
                                                      .up = on_up,
                                                      .down = on_down,
                                                      .programs = on_programs,
                                                      .trouble = on_trouble,
                                                      .asked = on_asked,
                                                      .answered = on_answered,
                                                      .complaint = on_complaint};

static void on_gone(uint32_t id, gpointer data)
{
    g_string_append_printf(((struct fixture *)data)->gone, "%u ", id);
}

static void on_step(const char *what, const char *why, gpointer data)
{
    ((struct fixture *)data)->troubles += g_str_has_prefix(what, "trouble ");
    ((struct fixture *)data)->waits += g_str_equal(what, "programs wait");
    g_test_message("%s: %s", what, why);
}

static void on_injected(gpointer data)
{
    ((struct fixture *)data)->injected++;
}

static void on_ended(G_GNUC_UNUSED gpointer data)
{
}

static const struct vh_programs_funcs programs_funcs = {
    .gone = on_gone, .step = on_step, .injected = on_injected, .ended = on_ended};

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *base = g_dir_make_tmp("vhint-XXXXXX", NULL);

    f->directory = g_build_filename(base, "guest", NULL);
    f->room = 1 << 20;
    f->sent = g_byte_array_new();
    f->gone = g_string_new(NULL);
    f->programs = vh_programs_new(f->directory, &programs_funcs, f);
    f->scratch = vh_scratch_new();
    f->session = vh_session_new(HOST, f->scratch, &session_funcs, f);
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *base = g_path_get_dirname(f->directory);
    g_autoptr(GDir) dir = g_dir_open(f->directory, 0, NULL);
    const char *name = NULL;

    vh_session_free(f->session);
    vh_scratch_free(f->scratch);
    vh_programs_free(f->programs);
    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(f->directory, name, NULL);

        g_unlink(path);
    }
    g_rmdir(f->directory);
    g_rmdir(base);
    g_byte_array_unref(f->sent);
    g_string_free(f->gone, TRUE);
    g_clear_object(&f->result);
    g_free(f->directory);
}

static void say(struct fixture *f, enum vh_type type, uint32_t id, const void *a, size_t a_len,
                const void *b, size_t b_len)
{
    struct iovec parts[] = {{(void *)a, a_len}, {(void *)b, b_len}};
    g_autofree uint8_t *out = g_malloc(VH_FRAME_ENCODED(a_len + b_len));
    long len = vh_frame_encode(out, VH_FRAME_ENCODED(a_len + b_len), type, type == VH_HELLO ? 0 : 1,
                               id, parts, 2);

    vh_session_receive(f->session, out, (size_t)len);
}

static void boot(struct fixture *f, uint8_t boot_id)
{
    static uint64_t number = 100;
    struct vh_hello hello = {.magic = VH_HELLO_MAGIC,
                             .version_min = 1,
                             .version_max = 1,
                             .session = ++number,
                             .peer = HOST,
                             .role = VH_ROLE_GUEST,
                             .boot_id = {boot_id}};

    say(f, VH_HELLO, 0, &hello, sizeof(hello), NULL, 0);
}

/* The guest runs `name` with the digest of `object` (NULL: another) as `id`; id 0: it runs nothing.
 */
static void report(struct fixture *f, uint32_t id, const char *name, const VhObject *object)
{
    struct vh_programs head = {.count = id ? 1 : 0};
    struct vh_program program = {.id = id, .attached = 1};

    g_strlcpy(program.name, name, sizeof(program.name));
    if (object)
        memcpy(program.digest, object->digest, sizeof(program.digest));
    say(f, VH_PROGRAMS, 0, &head, sizeof(head), &program, id ? sizeof(program) : 0);
}

static void answer(struct fixture *f, uint32_t error, uint32_t program)
{
    struct vh_answer answer = {
        .error = error, .program = program, .text_len = error ? 2 : 0, .log_len = error ? 3 : 0};

    say(f, VH_ANSWER, f->last_id, &answer, sizeof(answer), "nolog", error ? 5 : 0);
}

/* The requests sent since the last call, as words. */
static void assert_sent(struct fixture *f, const char *expected)
{
    static uint8_t buffer[VH_DECODER_BUFFER] __attribute__((aligned(8)));
    struct vh_decoder decoder;
    struct vh_frame frame;
    const uint8_t *in = f->sent->data;
    size_t len = f->sent->len;
    g_autoptr(GString) got = g_string_new(NULL);

    vh_decoder_init(&decoder, buffer);
    while (vh_decoder_feed(&decoder, &in, &len, &frame) == 1) {
        const char *tunables = NULL;
        struct vh_load load;

        if (frame.type == VH_HELLO || frame.type == VH_CHUNK)
            continue;
        f->last_id = frame.id;
        g_string_append(got, vh_type_name(frame.type));
        if (frame.type == VH_LOAD && vh_msg_load(&frame, &load, &tunables) == 0)
            g_string_append_printf(got, "(%s%s%s)", load.name,
                                   load.flags & VH_LOAD_REPLACE ? ",replace" : "",
                                   load.tunables_len ? ",tuned" : "");
        g_string_append_c(got, ' ');
    }
    g_byte_array_set_size(f->sent, 0);
    g_assert_cmpstr(got->str, ==, expected);
}

static void on_done(G_GNUC_UNUSED GObject *source, GAsyncResult *result, gpointer data)
{
    ((struct fixture *)data)->result = g_object_ref(result);
}

static GTask *new_task(struct fixture *f)
{
    g_clear_object(&f->result);
    return g_task_new(NULL, NULL, on_done, f);
}

static void wait_for_result(struct fixture *f)
{
    LOOP_UNTIL(f->result);
}

static void inject(struct fixture *f, const char *object, bool replace)
{
    vh_programs_inject(f->programs, test_object(object), g_bytes_new_static("a=1", 4), replace,
                       new_task(f));
}

static void assert_injected(struct fixture *f, const char *name)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *got = NULL;

    wait_for_result(f);
    got = g_task_propagate_pointer(G_TASK(f->result), &error);
    g_assert_no_error(error);
    g_assert_cmpstr(got, ==, name);
}

static void assert_refused(struct fixture *f, enum vh_error_code code, const char *text)
{
    g_autoptr(GError) error = NULL;

    wait_for_result(f);
    g_assert_null(g_task_propagate_pointer(G_TASK(f->result), &error));
    g_assert_error(error, VH_ERROR, (int)code);
    if (!strstr(error->message, text))
        g_error("\"%s\" does not say \"%s\"", error->message, text);
}

/* Policy wants "plain", with these tunables; NULL: policy wants nothing. */
static void want(struct fixture *f, const char *tunables)
{
    g_autoptr(VhObject) object = test_object("plain");
    g_autoptr(GBytes) bytes =
        g_bytes_new(tunables, tunables && *tunables ? strlen(tunables) + 1 : 0);

    vh_programs_want(f->programs, &(struct vh_program_wish){object, bytes}, tunables ? 1 : 0);
}

static void add_policy(struct fixture *f)
{
    want(f, "");
}

static const char *state(const struct fixture *f)
{
    return vh_programs_state(vh_programs_get(f->programs, 0));
}

static void assert_problem(const struct vh_managed *managed, const char *text)
{
    g_autofree char *problem = vh_programs_problem(managed);

    g_assert_cmpstr(problem, ==, text);
}

static void test_policy(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VhObject) object = test_object("plain");

    add_policy(f);
    g_assert_cmpstr(state(f), ==, "wanted");
    boot(f, 1);
    report(f, 0, "", NULL);
    assert_sent(f, "LOAD(fallback) ");
    g_assert_cmpstr(state(f), ==, "loading");
    report(f, 0, "", NULL);
    assert_sent(f, "");
    answer(f, 0, 5);
    g_assert_cmpstr(state(f), ==, "running");
    report(f, 5, "fallback", object);
    assert_sent(f, "");
    g_assert_nonnull(vh_programs_by_id(f->programs, 5));
    /* The injector restarts and runs nothing; then another object of that name. */
    boot(f, 1);
    g_assert_null(vh_programs_by_id(f->programs, 5));
    report(f, 0, "", NULL);
    assert_sent(f, "LOAD(fallback) ");
    boot(f, 1);
    report(f, 6, "fallback", NULL);
    assert_sent(f, "LOAD(fallback,replace) ");
    /* The daemon restarts: what runs already is not loaded. */
    boot(f, 1);
    report(f, 7, "fallback", object);
    assert_sent(f, "");
    g_assert_cmpstr(state(f), ==, "running");
}

/* Policy changes while the program runs, and while it is being loaded. */
static void test_policy_changes(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VhObject) object = test_object("plain");

    want(f, "a=1");
    boot(f, 1);
    assert_sent(f, ""); /* not before the guest has said what runs */
    want(f, "a=2");
    assert_sent(f, "");
    report(f, 0, "", NULL);
    assert_sent(f, "LOAD(fallback,tuned) ");
    want(f, "a=3"); /* waits for the answer */
    want(f, "a=4");
    assert_sent(f, "");
    answer(f, 0, 5);
    assert_sent(f, "LOAD(fallback,replace,tuned) ");
    answer(f, 0, 6);
    report(f, 6, "fallback", object);
    assert_sent(f, "");
    g_assert_cmpstr(state(f), ==, "running");
    g_assert_cmpstr(g_bytes_get_data(vh_programs_get(f->programs, 0)->tunables, NULL), ==, "a=4");
    want(f, "a=4");
    assert_sent(f, "");
    want(f, NULL);
    assert_sent(f, "UNLOAD ");
    g_assert_cmpuint(vh_programs_count(f->programs), ==, 0);
    g_assert_nonnull(strstr(f->gone->str, "6 "));
}

/* Not wanted any longer while it is being loaded: unloaded once it is there. */
static void test_policy_changes_its_mind(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    want(f, "");
    boot(f, 1);
    report(f, 0, "", NULL);
    assert_sent(f, "LOAD(fallback) ");
    want(f, NULL);
    assert_sent(f, "");
    answer(f, 0, 5);
    assert_sent(f, "UNLOAD ");
    g_assert_cmpuint(vh_programs_count(f->programs), ==, 0);
}

/* Likewise if the session ends before it is: nobody wants it any longer in the next one. */
static void test_policy_changes_before_the_end(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    want(f, "");
    boot(f, 1);
    report(f, 0, "", NULL);
    assert_sent(f, "LOAD(fallback) ");
    want(f, NULL);
    boot(f, 1);
    g_assert_cmpuint(vh_programs_count(f->programs), ==, 0);
    report(f, 0, "", NULL);
    assert_sent(f, "");
}

/* Policy comes to want what somebody just injects, or ejects. */
static void test_policy_changes_during_a_call(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    boot(f, 1);
    report(f, 0, "", NULL);
    inject(f, "plain", false);
    assert_sent(f, "LOAD(fallback,tuned) ");
    want(f, "");
    assert_sent(f, "");
    answer(f, EACCES, 0);
    assert_refused(f, VH_ERROR_REFUSED, "no");
    assert_sent(f, "LOAD(fallback) ");
    answer(f, 0, 4);
    want(f, NULL);
    assert_sent(f, "UNLOAD ");
    answer(f, 0, 0);
    report(f, 0, "", NULL);
    inject(f, "plain", false);
    assert_sent(f, "LOAD(fallback,tuned) ");
    answer(f, 0, 5);
    assert_injected(f, "fallback");
    vh_programs_eject(f->programs, "fallback", new_task(f));
    assert_sent(f, "UNLOAD ");
    want(f, "");
    assert_sent(f, "");
    answer(f, 0, 0);
    assert_sent(f, "LOAD(fallback) ");
    answer(f, 0, 6);
    g_assert_cmpstr(state(f), ==, "running");
    wait_for_result(f);
}

static void test_refused_until_reboot(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    add_policy(f);
    boot(f, 1);
    report(f, 0, "", NULL);
    assert_sent(f, "LOAD(fallback) ");
    answer(f, EINVAL, 0);
    g_assert_cmpstr(state(f), ==, "refused");
    g_assert_cmpstr(vh_programs_get(f->programs, 0)->problem, ==, "no\nlibbpf said:\nlog");
    report(f, 0, "", NULL);
    boot(f, 1);
    report(f, 0, "", NULL);
    assert_sent(f, "");
    boot(f, 2);
    report(f, 0, "", NULL);
    assert_sent(f, "LOAD(fallback) ");
}

/* A load with which the injector goes away: once that may be chance, the second time it is not
 * tried again. */
static void test_stuck_load_is_not_repeated(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *problem = NULL;

    add_policy(f);
    boot(f, 1);
    report(f, 0, "", NULL);
    assert_sent(f, "LOAD(fallback) ");
    boot(f, 1);
    report(f, 0, "", NULL);
    assert_sent(f, "LOAD(fallback) ");
    boot(f, 1);
    report(f, 0, "", NULL);
    assert_sent(f, "");
    g_assert_cmpstr(state(f), ==, "refused");
    problem = vh_programs_problem(vh_programs_get(f->programs, 0));
    g_assert_nonnull(strstr(problem, "went away"));
    boot(f, 2);
    report(f, 0, "", NULL);
    assert_sent(f, "LOAD(fallback) ");
    boot(f, 3); /* the guest itself went away */
    report(f, 0, "", NULL);
    assert_sent(f, "LOAD(fallback) ");
    answer(f, 0, 5);
    g_assert_cmpstr(state(f), ==, "running");
    boot(f, 3); /* what has run is not held against it */
    report(f, 0, "", NULL);
    assert_sent(f, "LOAD(fallback) ");
    boot(f, 3);
    report(f, 0, "", NULL);
    assert_sent(f, "LOAD(fallback) ");
}

static void test_trouble(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VhObject) object = test_object("plain");
    struct vh_trouble head = {.program = 5, .text_len = 8};
    const struct vh_managed *managed = NULL;

    add_policy(f);
    boot(f, 1);
    report(f, 5, "fallback", object);
    say(f, VH_TROUBLE, 0, &head, sizeof(head), "it loops", 8);
    managed = vh_programs_get(f->programs, 0);
    assert_problem(managed, "it loops");
    g_assert_cmpstr(state(f), ==, "running");
    g_assert_cmpuint(f->troubles, ==, 1);
    report(f, 5, "fallback", object);
    say(f, VH_TROUBLE, 0, &head, sizeof(head), "it loops", 8); /* no news */
    assert_problem(managed, "it loops");
    g_assert_cmpuint(f->troubles, ==, 1);
    report(f, 5, "fallback", object);
    assert_problem(managed, "");
    say(f, VH_TROUBLE, 0, &head, sizeof(head), "it loops", 8);
    head.text_len = 0;
    say(f, VH_TROUBLE, 0, &head, sizeof(head), NULL, 0);
    assert_problem(managed, "");
    head.program = 6;
    say(f, VH_TROUBLE, 0, &head, sizeof(head), NULL, 0); /* of a stranger */
}

/* Only what the verifier has said is called its log. */
static void test_logs(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *verifier = vh_answer_text(
        "no", "libbpf: prog 'a': BPF program load failed\nlibbpf: prog 'a': -- BEGIN PROG LOAD LOG "
              "--\nR0 invalid\n-- END PROG LOAD LOG --\n");
    g_autofree char *other = vh_answer_text("no", "libbpf: map 'm': failed to create\n");
    g_autofree char *silent = vh_answer_text("", "");

    g_assert_true(g_str_has_prefix(verifier, "no\nverifier log:\nlibbpf: prog"));
    g_assert_cmpstr(other, ==, "no\nlibbpf said:\nlibbpf: map 'm': failed to create\n");
    g_assert_cmpstr(silent, ==, "the guest refused it without saying why");
    (void)f;
}

static void test_stranger_is_unloaded_once(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    boot(f, 1);
    report(f, 3, "stranger", NULL);
    report(f, 3, "stranger", NULL);
    assert_sent(f, "UNLOAD ");
}

static void test_inject_and_eject(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VhObject) object = test_object("rich");
    g_autofree char *path = g_build_filename(f->directory, "rich.bpf.o", NULL);
    VhPrograms *next = NULL;

    boot(f, 1);
    report(f, 0, "", NULL);
    inject(f, "rich", false);
    assert_sent(f, "LOAD(rich,tuned) ");
    report(f, 4, "rich", object); /* before the answer: it is not a stranger */
    assert_sent(f, "");
    g_assert_nonnull(vh_programs_by_id(f->programs, 4));
    answer(f, 0, 4);
    assert_injected(f, "rich");
    g_assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
    /* Another daemon finds it. */
    next = vh_programs_new(f->directory, &programs_funcs, f);
    g_assert_cmpuint(vh_programs_count(next), ==, 1);
    g_assert_cmpuint(g_bytes_get_size(vh_programs_get(next, 0)->tunables), ==, 4);
    vh_programs_free(next);
    inject(f, "rich", false);
    assert_refused(f, VH_ERROR_EXISTS, "is there already");
    inject(f, "rich", true);
    assert_sent(f, "LOAD(rich,replace,tuned) ");
    report(f, 4, "rich", object);
    answer(f, 0, 8);
    assert_injected(f, "rich");
    g_assert_cmpstr(f->gone->str, ==, "4 ");
    report(f, 8, "rich", object);
    assert_sent(f, "");
    vh_programs_eject(f->programs, "rich", new_task(f));
    assert_sent(f, "UNLOAD ");
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    answer(f, 0, 0);
    wait_for_result(f);
    g_assert_cmpint(g_task_propagate_int(G_TASK(f->result), NULL), ==, 0);
    g_assert_cmpuint(vh_programs_count(f->programs), ==, 0);
    g_assert_cmpstr(f->gone->str, ==, "4 8 ");
}

/* A guest that refuses without a word. */
static void test_eject_refused(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_answer refusal = {.error = EBUSY};
    g_autoptr(GError) error = NULL;

    boot(f, 1);
    report(f, 0, "", NULL);
    inject(f, "rich", false);
    assert_sent(f, "LOAD(rich,tuned) ");
    answer(f, 0, 4);
    assert_injected(f, "rich");
    vh_programs_eject(f->programs, "rich", new_task(f));
    assert_sent(f, "UNLOAD ");
    say(f, VH_ANSWER, f->last_id, &refusal, sizeof(refusal), NULL, 0);
    wait_for_result(f);
    g_assert_cmpint(g_task_propagate_int(G_TASK(f->result), &error), ==, -1);
    g_assert_error(error, VH_ERROR, VH_ERROR_REFUSED);
    g_assert_cmpstr(error->message, ==, "the guest refused it without saying why");
}

/* A bad successor leaves the program that runs as it is. */
static void test_bad_replacement(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    boot(f, 1);
    inject(f, "rich", false);
    assert_sent(f, "LOAD(rich,tuned) ");
    answer(f, 0, 4);
    assert_injected(f, "rich");
    inject(f, "rich", true);
    assert_sent(f, "LOAD(rich,replace,tuned) ");
    answer(f, EACCES, 0);
    assert_refused(f, VH_ERROR_REFUSED, "libbpf said:\nlog");
    g_assert_cmpuint(vh_programs_count(f->programs), ==, 1);
    g_assert_nonnull(vh_programs_by_id(f->programs, 4));
    g_assert_cmpstr(f->gone->str, ==, "");
}

static void test_inject_refused(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    inject(f, "rich", false);
    assert_refused(f, VH_ERROR_NOT_CONNECTED, "start vhint-injector");
    add_policy(f);
    boot(f, 1);
    inject(f, "plain", true);
    assert_refused(f, VH_ERROR_EXISTS, "comes from the policy");
    inject(f, "rich", false);
    assert_sent(f, "LOAD(rich,tuned) ");
    /* A second one of that name has to wait. */
    vh_programs_inject(f->programs, test_object("rich"), g_bytes_new(NULL, 0), false,
                       g_task_new(NULL, NULL, NULL, NULL));
    assert_sent(f, "");
    boot(f, 1); /* it has restarted */
    assert_refused(f, VH_ERROR_NOT_CONNECTED, "the injector has begun a new session");
    g_assert_cmpuint(vh_programs_count(f->programs), ==, 1);
    vh_programs_eject(f->programs, "rich", new_task(f));
    wait_for_result(f);
    g_assert_cmpint(g_task_propagate_int(G_TASK(f->result), &error), ==, -1);
    g_assert_error(error, VH_ERROR, VH_ERROR_NO_SUCH_PROGRAM);
}

/* The guest comes from another host, with what runs in it there; here it had something else once.
 */
static void test_arrival(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VhTravel) travel = vh_travel_new("there");
    g_autoptr(VhObject) object = test_object("rich");
    g_autoptr(GBytes) tunables = g_bytes_new_static("a=2", 4);
    VhPrograms *next = NULL;
    guint calls = 0;

    boot(f, 1);
    report(f, 0, "", NULL);
    inject(f, "plain", false);
    assert_sent(f, "LOAD(fallback,tuned) ");
    answer(f, 0, 3);
    assert_injected(f, "fallback");
    g_assert_cmpuint(f->injected, ==, 1);
    vh_session_restart(f->session, HOST, "it has left");
    assert_sent(f, "");
    calls = f->injected;
    vh_travel_add(travel, object, tunables);
    vh_programs_replace_injected(f->programs, travel->programs);
    g_assert_cmpuint(f->injected, >, calls);
    g_assert_cmpuint(vh_programs_count(f->programs), ==, 1);
    boot(f, 1);
    report(f, 9, "rich", object);
    assert_sent(f, "");
    g_assert_cmpstr(state(f), ==, "running");
    g_assert_true(vh_programs_get(f->programs, 0)->injected);
    /* On disk, too, for the next daemon: written by a thread. */
    LOOP_UNTIL(vh_programs_count(next = vh_programs_new(f->directory, &programs_funcs, f)) == 1)
    {
        g_assert_cmpuint(vh_programs_count(next), ==, 0);
        vh_programs_free(next);
    }
    g_assert_cmpstr(vh_programs_get(next, 0)->name, ==, "rich");
    g_assert_true(g_bytes_equal(vh_programs_get(next, 0)->tunables, tunables));
    vh_programs_free(next);
    vh_programs_eject(f->programs, "rich", new_task(f));
    assert_sent(f, "UNLOAD ");
    calls = f->injected;
    answer(f, 0, 0);
    wait_for_result(f);
    g_assert_cmpuint(f->injected, >, calls);
}

/* A guest that names ever new programs, and answers nothing, is told to unload so many at a time.
 */
static void test_unloads_are_bounded(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GString) expected = g_string_new(NULL);

    boot(f, 1);
    for (uint32_t id = 1; id <= 100; id++) {
        g_autofree char *name = g_strdup_printf("stranger-%u", id);

        report(f, id, name, NULL);
    }
    for (uint32_t i = 0; i < VH_PROGRAMS_MAX; i++)
        g_string_append(expected, "UNLOAD ");
    assert_sent(f, expected->str);
    answer(f, 0, 0);
    report(f, 101, "stranger-101", NULL);
    report(f, 102, "stranger-102", NULL);
    assert_sent(f, "UNLOAD ");
    boot(f, 2);
    report(f, 103, "stranger-103", NULL);
    report(f, 104, "stranger-104", NULL);
    assert_sent(f, "UNLOAD UNLOAD ");
}

/* A guest that tells of a program under one id, and then answers the LOAD with another: what the
 * first one had ends, whoever asked for the program. */
static void test_answer_with_another_id(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VhObject) object = test_object("plain");
    g_autoptr(VhObject) rich = test_object("rich");

    add_policy(f);
    boot(f, 1);
    report(f, 0, "", NULL);
    assert_sent(f, "LOAD(fallback) ");
    report(f, 5, "fallback", object);
    g_assert_nonnull(vh_programs_by_id(f->programs, 5));
    answer(f, 0, 7);
    g_assert_cmpstr(f->gone->str, ==, "5 ");
    g_assert_null(vh_programs_by_id(f->programs, 5));
    g_assert_nonnull(vh_programs_by_id(f->programs, 7));
    inject(f, "rich", false);
    assert_sent(f, "LOAD(rich,tuned) ");
    report(f, 8, "rich", rich);
    answer(f, 0, 9);
    assert_injected(f, "rich");
    g_assert_cmpstr(f->gone->str, ==, "5 7 8 ");
    g_assert_nonnull(vh_programs_by_id(f->programs, 9));
}

/* Other tunables do not show in PROGRAMS: hints of the former instance may come until the answer.
 */
static void test_replaced_by_an_equal(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VhObject) object = test_object("plain");

    want(f, "a=1");
    boot(f, 1);
    report(f, 5, "fallback", object);
    want(f, "a=2");
    assert_sent(f, "LOAD(fallback,replace,tuned) ");
    g_assert_cmpstr(f->gone->str, ==, "5 ");
    g_assert_nonnull(vh_programs_by_id(f->programs, 5));
    answer(f, 0, 6);
    g_assert_cmpstr(f->gone->str, ==, "5 5 ");
    g_assert_null(vh_programs_by_id(f->programs, 5));
}

/* An answer cannot make a program of what is none, or is another. */
static void test_answer_with_a_bad_id(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VhObject) object = test_object("plain");
    g_autoptr(VhObject) rich = test_object("rich");

    add_policy(f);
    boot(f, 1);
    report(f, 0, "", NULL);
    assert_sent(f, "LOAD(fallback) ");
    answer(f, 0, 0);
    g_assert_cmpstr(state(f), ==, "refused");
    g_assert_nonnull(strstr(vh_programs_get(f->programs, 0)->problem, "as program 0"));
    /* One that runs by another name. */
    boot(f, 2);
    report(f, 3, "stranger", NULL);
    assert_sent(f, "UNLOAD LOAD(fallback) ");
    answer(f, 0, 3);
    g_assert_cmpstr(state(f), ==, "refused");
    g_assert_null(vh_programs_by_id(f->programs, 3));
    /* One of ours; and the very one that is to be replaced. */
    boot(f, 3);
    report(f, 4, "fallback", object);
    assert_sent(f, "");
    inject(f, "rich", false);
    assert_sent(f, "LOAD(rich,tuned) ");
    answer(f, 0, 4);
    assert_refused(f, VH_ERROR_REFUSED, "as program 4");
    inject(f, "rich", false);
    assert_sent(f, "LOAD(rich,tuned) ");
    answer(f, 0, 0);
    assert_refused(f, VH_ERROR_REFUSED, "as program 0");
    inject(f, "rich", false);
    assert_sent(f, "LOAD(rich,tuned) ");
    answer(f, 0, 6);
    assert_injected(f, "rich");
    inject(f, "rich", true);
    assert_sent(f, "LOAD(rich,replace,tuned) ");
    answer(f, 0, 6);
    assert_refused(f, VH_ERROR_REFUSED, "as program 6");
    g_assert_cmpstr(f->gone->str, ==, "");
    /* PROGRAMS may take a number from one and give it to another. */
    report(f, 6, "fallback", object);
    g_assert_cmpstr(f->gone->str, ==, "6 4 ");
    g_assert_cmpstr(vh_programs_by_id(f->programs, 6)->name, ==, "fallback");
}

/* The guest runs `object` as 6, and one that nobody wants. */
static void report_two(struct fixture *f, const VhObject *object)
{
    struct vh_programs head = {.count = 2};
    struct vh_program programs[] = {{.id = 6, .name = "fallback"}, {.id = 7, .name = "stranger"}};

    memcpy(programs[0].digest, object->digest, VH_DIGEST_SIZE);
    say(f, VH_PROGRAMS, 0, &head, sizeof(head), programs, sizeof(programs));
}

/* Has the guest owe as many answers as it may, from this id on. */
static uint32_t owe(struct fixture *f)
{
    uint32_t first = 0;

    while (vh_session_may_ask(f->session)) {
        uint32_t id = vh_session_unload(f->session, "nothing", NULL, NULL);

        first = first ? first : id;
    }
    g_byte_array_set_size(f->sent, 0);
    return first;
}

/* It is asked no more before it answers something; nothing of what is wanted is lost by that. */
static void test_owes_too_much(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VhObject) object = test_object("plain");
    uint32_t owed = 0;

    boot(f, 1);
    report(f, 0, "", NULL);
    owed = owe(f);
    g_assert_cmpuint(vh_programs_owed(f->programs), ==, 0); /* and nothing waits for that */
    want(f, "a=1");
    report(f, 0, "", NULL);
    assert_sent(f, "");
    g_assert_cmpstr(state(f), ==, "wanted");
    g_assert_cmpuint(vh_programs_owed(f->programs), ==, VH_SESSION_OWED);
    g_assert_cmpuint(f->waits, ==, 1); /* that was told, once */
    inject(f, "rich", false);
    assert_refused(f, VH_ERROR_BUSY, "owes 96 answers");
    f->last_id = owed;
    answer(f, ENOENT, 0);
    assert_sent(f, "LOAD(fallback,tuned) ");
    g_assert_cmpuint(vh_programs_owed(f->programs), ==, 0);
    answer(f, 0, 5);
    report(f, 5, "fallback", object);
    /* Other tunables do not show in what it reports. */
    owe(f);
    want(f, "a=2");
    assert_sent(f, "");
    f->last_id = owed + 1;
    answer(f, ENOENT, 0);
    assert_sent(f, "LOAD(fallback,replace,tuned) ");
    answer(f, 0, 6);
    assert_sent(f, "");
    /* What runs and should not. */
    owe(f);
    report_two(f, object);
    assert_sent(f, "");
    f->last_id = owed + 2;
    answer(f, ENOENT, 0);
    assert_sent(f, "UNLOAD ");
}

/* What cannot be sent, and is not wanted any longer, is not asked. */
static void test_unload_is_withdrawn(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    boot(f, 1);
    f->room = 0;
    report(f, 3, "stranger", NULL);
    g_assert_cmpuint(vh_session_owed(f->session), ==, 1);
    for (uint32_t id = 4; id < 1000; id++)
        report(f, id, "stranger", NULL);
    g_assert_cmpuint(vh_session_owed(f->session), ==, 1);
    report(f, 0, "", NULL);
    g_assert_cmpuint(vh_session_owed(f->session), ==, 0);
    f->room = 1 << 20;
    vh_session_flush(f->session);
    assert_sent(f, "");
    report(f, 3, "stranger", NULL);
    assert_sent(f, "UNLOAD ");
}

#define ADD(name, func) g_test_add("/programs/" name, struct fixture, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("policy", test_policy);
    ADD("policy-changes", test_policy_changes);
    ADD("policy-changes-its-mind", test_policy_changes_its_mind);
    ADD("policy-changes-before-the-end", test_policy_changes_before_the_end);
    ADD("policy-changes-during-a-call", test_policy_changes_during_a_call);
    ADD("refused-until-reboot", test_refused_until_reboot);
    ADD("stuck-load-is-not-repeated", test_stuck_load_is_not_repeated);
    ADD("trouble", test_trouble);
    ADD("logs", test_logs);
    ADD("stranger-is-unloaded-once", test_stranger_is_unloaded_once);
    ADD("unloads-are-bounded", test_unloads_are_bounded);
    ADD("answer-with-another-id", test_answer_with_another_id);
    ADD("answer-with-a-bad-id", test_answer_with_a_bad_id);
    ADD("replaced-by-an-equal", test_replaced_by_an_equal);
    ADD("owes-too-much", test_owes_too_much);
    ADD("unload-is-withdrawn", test_unload_is_withdrawn);
    ADD("inject-and-eject", test_inject_and_eject);
    ADD("eject-refused", test_eject_refused);
    ADD("bad-replacement", test_bad_replacement);
    ADD("inject-refused", test_inject_refused);
    ADD("arrival", test_arrival);
    return g_test_run();
}
