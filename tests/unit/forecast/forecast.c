/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Forecasts: a story of guests and hints, and where everybody would be after each of them. */
#include "forecast/forecast.h"

#include <string.h>

#include "base/error.h"
#include "lib/fake-object.h"

struct world {
    struct vh_topology *topology;
    VhForecast *forecast;
};

static void begin(struct world *world, const char *host, const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *all = g_strconcat(fake_rules, text, NULL);
    const struct vh_policy_text texts[] = {{"10.conf", all, strlen(all), false}};

    world->topology = vh_topology_synthetic(host, &error);
    g_assert_no_error(error);
    g_autoptr(VhPolicy) policy =
        vh_policy_parse(texts, 1,
                        &(struct vh_policy_world){.cpus = &world->topology->online,
                                                  .read_object = fake_object_read,
                                                  .list_objects = fake_object_list},
                        problems);
    if (!policy)
        g_error("%s", (const char *)g_ptr_array_index(problems, 0));
    world->forecast = vh_forecast_new(policy, world->topology);
}

static void end(struct world *world)
{
    vh_forecast_free(world->forecast);
    vh_topology_free(world->topology);
}

/* A guest whose guest CPU N is vCPU `vcpus` - 1 - N. `held` is what vCPU 0 is held to; NULL:
 * nothing. */
static void tell_title(struct world *world, const char *name, const char *title, unsigned vcpus,
                       const char *held, const char *boot_id)
{
    struct vh_forecast_guest *guest = vh_forecast_guest_new(name);

    for (unsigned i = 0; i < vcpus; i++) {
        struct vh_forecast_vcpu vcpu = {.index = i, .guest_cpu = (int)(vcpus - 1 - i)};

        if (i == 0 && held)
            vcpu.held = vh_cpuset_parse(&vcpu.held_to, held, NULL) == 0;
        g_array_append_val(guest->vcpus, vcpu);
    }
    g_free(guest->boot_id);
    guest->boot_id = g_strdup(boot_id);
    g_free(guest->title);
    guest->title = g_strdup(title);
    vh_forecast_tell(world->forecast, guest);
    vh_forecast_guest_free(guest);
}

static void tell(struct world *world, const char *name, unsigned vcpus, const char *held,
                 const char *boot_id)
{
    tell_title(world, name, name, vcpus, held, boot_id);
}

static int say(struct world *world, const char *guest, const char *program, const char *kind,
               bool gone, const char *fields, gint64 now, GError **error)
{
    g_autoptr(JsonNode) root = json_from_string(fields, NULL);

    return vh_forecast_hint(world->forecast,
                            &(struct vh_forecast_hint){.guest = guest,
                                                       .program = program,
                                                       .kind = kind,
                                                       .gone = gone,
                                                       .key_size = 4,
                                                       .fields = json_node_get_object(root)},
                            now, error);
}

static void hint(struct world *world, const char *guest, const char *kind, bool gone,
                 const char *fields, gint64 now)
{
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(say(world, guest, kind, kind, gone, fields, now, &error), ==, 1);
    g_assert_no_error(error);
}

/* "web/1:3 db/0:-": every line, as to be at `now`; * after those that change. */
static void expect(struct world *world, gint64 now, const char *expected)
{
    const GPtrArray *lines = vh_forecast_plan(world->forecast, now);
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < lines->len; i++) {
        const struct vh_forecast_line *line = g_ptr_array_index(lines, i);
        g_autofree char *planned = line->would ? vh_cpuset_format(&line->planned) : g_strdup("-");

        g_string_append_printf(text, "%s%s/", text->len ? " " : "", line->guest);
        if (line->vcpu >= 0)
            g_string_append_printf(text, "%d", line->vcpu);
        else
            g_string_append(text, line->thread);
        g_string_append_printf(text, ":%s%s", planned, line->changes ? "*" : "");
    }
    g_assert_cmpstr(text->str, ==, expected);
}

static void test_title(void)
{
    struct world world;

    begin(&world, "core:4 pu:1", "[guest web*]\npool = 3\n");
    tell_title(&world, "1f-2e", "web 1 (old)", 1, NULL, "a");
    hint(&world, "1f-2e", "affinity", false, "{\"pid\":7,\"cpus\":1,\"mask\":[1]}", 0);
    expect(&world, 0, "1f-2e/0:3*");
    end(&world);
}

static void test_story(void)
{
    struct world world;

    begin(&world, "core:4 pu:1", "");
    tell(&world, "web", 2, "3", "a");
    expect(&world, 0, "web/0:-* web/1:-"); /* held, and nobody asks for it */
    hint(&world, "web", "affinity", false, "{\"pid\":7,\"cpus\":1,\"mask\":[1]}", 0);
    expect(&world, 0, "web/0:-* web/1:0*");
    end(&world);

    begin(&world, "core:4 pu:1", "");
    tell(&world, "web", 2, "3", "a");
    hint(&world, "web", "affinity", false, "{\"pid\":7,\"cpus\":1,\"mask\":[2]}", 0);
    expect(&world, 0, "web/0:3 web/1:-"); /* stays where it is */
    hint(&world, "web", "affinity", false, "{\"pid\":8,\"cpus\":1,\"mask\":[1]}", 1);
    expect(&world, 1, "web/0:3 web/1:0*");
    tell(&world, "db", 1, NULL, "");
    hint(&world, "db", "affinity", false, "{\"pid\":8,\"cpus\":1,\"mask\":[1]}", 2);
    expect(&world, 2, "web/0:3 web/1:0* db/0:1*");
    hint(&world, "web", "affinity", true, "{\"pid\":8}", 3);
    expect(&world, 3, "web/0:3 web/1:- db/0:1*");
    tell(&world, "web", 2, NULL, "a"); /* the same boot: its facts stand, and so does its place */
    expect(&world, 4, "web/0:3 web/1:- db/0:1*");
    tell(&world, "web", 2, NULL, "b"); /* another boot */
    expect(&world, 5, "web/0:-* web/1:- db/0:1*");
    vh_forecast_forget(world.forecast, "db");
    expect(&world, 6, "web/0:-* web/1:- db/0:-");
    vh_forecast_leave(world.forecast, "web");
    expect(&world, 7, "db/0:-");
    end(&world);
}

static void test_steps(void)
{
    struct world world;

    begin(&world, "core:2 pu:1", "[guest web]\nemulator = 1\n");
    vh_forecast_by_steps(world.forecast, true);
    tell(&world, "web", 1, NULL, "");
    expect(&world, 0, "web/0:- web/emulator:1*");
    hint(&world, "web", "affinity", false, "{\"pid\":7,\"cpus\":1,\"mask\":[1]}", 1);
    expect(&world, 1, "web/0:0* web/emulator:1");
    expect(&world, 2, "web/0:0 web/emulator:1");
    hint(&world, "web", "affinity", true, "{\"pid\":7}", 3);
    expect(&world, 3, "web/0:-* web/emulator:1");
    end(&world);
}

/* A wish that outlives its fact ends by itself. */
static void test_hold(void)
{
    struct world world;

    begin(&world, "core:2 pu:1", "");
    tell(&world, "web", 2, NULL, "");
    hint(&world, "web", "stranger", false, "{\"worker\":1,\"home\":0,\"phase\":\"FAKE_HOT\"}", 0);
    expect(&world, 1000000, "web/0:- web/1:0*");
    g_assert_cmpint(vh_forecast_next(world.forecast), ==, -1);
    hint(&world, "web", "stranger", true, "{\"worker\":1}", 2000000);
    expect(&world, 2000000, "web/0:- web/1:0*");
    g_assert_cmpint(vh_forecast_next(world.forecast), ==, 4000000);
    expect(&world, 4000000, "web/0:- web/1:-");
    end(&world);
}

/* One hint a second: the next waits, and is acted upon when it is due, with what has come
 * meanwhile. */
static void test_max_hints(void)
{
    struct world world;

    begin(&world, "core:2 pu:1", "[guest web]\nmax-hints = 1/s\n");
    tell(&world, "web", 2, NULL, "");
    expect(&world, 0, "web/0:- web/1:-");
    hint(&world, "web", "affinity", false, "{\"pid\":7,\"cpus\":1,\"mask\":[1]}", 10000000);
    expect(&world, 10000000, "web/0:- web/1:0*");
    hint(&world, "web", "affinity", false, "{\"pid\":8,\"cpus\":1,\"mask\":[2]}", 10000000);
    expect(&world, 10000000, "web/0:- web/1:0*");
    g_assert_cmpint(vh_forecast_next(world.forecast), ==, 11000001);
    expect(&world, 10500000, "web/0:- web/1:0*");
    expect(&world, 11000001, "web/0:1* web/1:0*");
    end(&world);
}

static void add_thread(struct vh_forecast_guest *guest, bool vhost, const char *name,
                       const char *held)
{
    struct vh_forecast_thread thread = {.vhost = vhost};

    g_strlcpy(thread.name, name, sizeof(thread.name));
    thread.held = held && vh_cpuset_parse(&thread.held_to, held, NULL) == 0;
    vh_forecast_guest_add_thread(guest, &thread);
}

/* IOThreads and vhost workers, in whichever order they are told; those that nobody places are not
 * shown. */
static void test_threads(void)
{
    struct world world;

    for (int with = 0; with < 2; with++) {
        struct vh_forecast_guest *guest = vh_forecast_guest_new("web");
        const struct vh_forecast_vcpu vcpu = {0};

        begin(&world, "core:4 pu:1", with ? "[guest web]\niothreads = 2\nvhost = 3\n" : "");
        g_array_append_val(guest->vcpus, vcpu);
        guest->emulator_held = true;
        vh_cpuset_add(&guest->emulator_to, 1);
        add_thread(guest, true, "vhost-1", NULL);
        add_thread(guest, false, "io1", "2");
        add_thread(guest, true, "vhost-1", "3");
        add_thread(guest, false, "io2", NULL);
        vh_forecast_tell(world.forecast, guest);
        expect(&world, 0,
               with ? "web/0:- web/emulator:-* web/IOThread io1:2 web/IOThread io2:2* web/vhost "
                      "worker vhost-1:3* "
                      "web/vhost worker vhost-1:3"
                    : "web/0:- web/emulator:-* web/IOThread io1:-* web/vhost worker vhost-1:-*");
        vh_forecast_guest_free(guest);
        end(&world);
    }
}

static void test_problems(void)
{
    struct world world;

    begin(&world, "core:1 pu:1", "");
    tell(&world, "web", 2, NULL, "");
    hint(&world, "web", "affinity", false, "{\"pid\":7,\"cpus\":1,\"mask\":[1]}", 0);
    hint(&world, "web", "affinity", false, "{\"pid\":8,\"cpus\":1,\"mask\":[2]}", 0);
    vh_forecast_plan(world.forecast, 0);
    const GPtrArray *problems = vh_forecast_problems(world.forecast);
    g_assert_cmpuint(problems->len, ==, 1);
    g_assert_nonnull(
        strstr(g_ptr_array_index(problems, 0), "enlarge the pool or allow overcommit"));
    end(&world);
}

static void test_refused(void)
{
    static const struct {
        const char *guest, *program, *kind, *fields, *message;
        int result;
    } rows[] = {
        {"db", "affinity", "affinity", "{}",
         "guest \"db\" has no line of its own (\"guest\") before this one", -1},
        {"web", "elsewhere", "affinity", "{}", NULL, 0},
        {"web", "affinity", "stranger", "{}",
         "program affinity (1) has no kind of hint \"stranger\"", -1},
        {"web", "affinity", "affinity", "{\"pig\":1}",
         "hint affinity of affinity: field \"pig\" is not a field of its kind", -1},
    };
    struct world world;

    begin(&world, "core:1 pu:1", "");
    tell(&world, "web", 1, NULL, "");
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_cmpint(say(&world, rows[i].guest, rows[i].program, rows[i].kind, false,
                            rows[i].fields, 0, &error),
                        ==, rows[i].result);
        g_assert_cmpstr(error ? error->message : NULL, ==, rows[i].message);
    }
    end(&world);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/forecast/title", test_title);
    g_test_add_func("/forecast/story", test_story);
    g_test_add_func("/forecast/steps", test_steps);
    g_test_add_func("/forecast/hold", test_hold);
    g_test_add_func("/forecast/max-hints", test_max_hints);
    g_test_add_func("/forecast/threads", test_threads);
    g_test_add_func("/forecast/problems", test_problems);
    g_test_add_func("/forecast/refused", test_refused);
    return g_test_run();
}
