// SPDX-License-Identifier: GPL-2.0-or-later
// Asks and changes a guest's memory device.
#include "qemu/memory.h"

#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "inventory/maker.h"

/* What somebody else has changed since is worth a question. */
#define FRESH_US ((gint64)30 * G_USEC_PER_SEC)
/* A balloon says what it has, not where it is going: of two answers this far apart that agree, the
 * second is taken. */
#define STILL_MS 500

#define NO_DEVICE \
    "its QEMU has neither a balloon nor virtio-mem, so its memory cannot be changed: add -device " \
    "virtio-balloon-pci " \
    "(libvirt: <memballoon model='virtio'/>)"

struct VhRamDevice {
    gint refs;
    const struct vh_config_guest *config; /* NULL: the guest is gone */
    void (*changed)(gpointer data);
    gpointer data;
    VhQmp *monitor;
    enum vh_ram_kind kind;
    struct asking *asking; /* that is under way for this monitor; NULL: none is */
    guint timer;           /* between two answers of a balloon */
    guint64 last;          /* the first of the two */
    gint64 known;          /* when QEMU last answered, or was told by us; 0: never */
    gint64 ordered;        /* when it was told by us; 0: never */
    guint64 plain;         /* bytes without virtio-mem */
    guint64
        value; /* of the device: the guest's memory for a balloon, requested-size for virtio-mem */
    guint64 value_max; /* 0: not known */
    guint64 block;     /* what value is a multiple of */
    char *name;        /* virtio-mem's id */
    unsigned orders;   /* under way */
    char *problem;
};

/* A question under way, from its first command to its last reply. Of a monitor that is gone, or of
 * a guest that has been away since, it may end after the next one has begun: what it says is
 * nobody's then. */
struct asking {
    VhRamDevice *device;
};

/* A change under way. */
struct order {
    VhRamDevice *device;
    VhRamDone done;
    gpointer data;
};

static const char *const kind_texts[] = {
    [VH_RAM_UNKNOWN] = "unknown",
    [VH_RAM_NONE] = "none",
    [VH_RAM_BALLOON] = "balloon",
    [VH_RAM_VIRTIO_MEM] = "virtio-mem",
};

const char *vh_ram_kind_text(enum vh_ram_kind kind)
{
    return kind_texts[kind];
}

VhRamDevice *vh_ram_device_new(const struct vh_config_guest *config, void (*changed)(gpointer data),
                               gpointer data)
{
    VhRamDevice *device = g_new0(VhRamDevice, 1);

    device->refs = 1;
    device->config = config;
    device->changed = changed;
    device->data = data;
    device->name = g_strdup("");
    device->problem = g_strdup("");
    return device;
}

VhRamDevice *vh_ram_device_ref(VhRamDevice *device)
{
    device->refs++;
    return device;
}

void vh_ram_device_unref(VhRamDevice *device)
{
    if (!device || --device->refs)
        return;
    g_free(device->name);
    g_free(device->problem);
    g_free(device);
}

void vh_ram_device_leave(VhRamDevice *device)
{
    vh_ram_device_monitor(device, NULL);
    device->config = NULL;
}

static void tell(VhRamDevice *device)
{
    if (device->config)
        device->changed(device->data);
}

static void set_problem(VhRamDevice *device, const char *text)
{
    g_free(device->problem);
    device->problem = g_strdup(text);
}

static bool is_current(const struct asking *asking)
{
    return asking->device->asking == asking;
}

static void end_asking(struct asking *asking)
{
    VhRamDevice *device = asking->device;

    if (is_current(asking))
        device->asking = NULL;
    g_free(asking);
    vh_ram_device_unref(device);
}

void vh_ram_device_monitor(VhRamDevice *device, VhQmp *monitor)
{
    device->monitor = monitor;
    device->kind = VH_RAM_UNKNOWN;
    device->known = 0;
    set_problem(device, "");
    if (!device->timer) {
        device->asking = NULL; /* its reply ends it */
        return;
    }
    g_clear_handle_id(&device->timer, g_source_remove);
    end_asking(device->asking);
}

struct vh_ram_state vh_ram_device_state(const VhRamDevice *device)
{
    return (struct vh_ram_state){.kind = device->kind,
                                 .has = device->plain + device->value,
                                 .most = device->value_max ? device->plain + device->value_max : 0,
                                 .problem = device->problem};
}

/* ---- asking: virtio-mem, then what memory there is without it; or the balloon ---- */

static guint64 number(JsonObject *object, const char *name)
{
    return (guint64)vh_json_member_int(object, name, 0, G_MAXINT64, 0);
}

static void answered(VhRamDevice *device, enum vh_ram_kind kind, const char *problem)
{
    device->asking = NULL;
    device->kind = kind;
    device->known = g_get_monotonic_time();
    set_problem(device, problem);
    tell(device);
}

static void on_summary(JsonNode *result, const char *error, gpointer data)
{
    struct asking *asking = data;
    VhRamDevice *device = asking->device;
    JsonObject *object = vh_json_object(result);

    (void)error;
    if (is_current(asking) && *device->name) {
        device->plain = number(object, "base-memory");
        answered(device, VH_RAM_VIRTIO_MEM, "");
    } else if (is_current(asking)) {
        device->plain = 0;
        device->value_max = number(object, "base-memory") + number(object, "plugged-memory");
        answered(device, VH_RAM_BALLOON, "");
    }
    end_asking(asking);
}

static void on_balloon(JsonNode *result, const char *error, gpointer data);

static gboolean on_still(gpointer data)
{
    VhRamDevice *device = data;

    device->timer = 0;
    vh_qmp_command(device->monitor, "query-balloon", NULL, on_balloon, device->asking);
    return G_SOURCE_REMOVE;
}

/* Is it where it is going to? Where we have sent it, it is as good as there. */
static bool is_still(VhRamDevice *device, guint64 actual)
{
    guint64 last = device->last;

    if (device->ordered && g_get_monotonic_time() - device->ordered < FRESH_US)
        return true;
    device->last = actual;
    device->value = actual;
    if (actual == last)
        return true;
    g_assert(!device->timer);
    device->timer = g_timeout_add(STILL_MS, on_still, device);
    return false;
}

static void on_balloon(JsonNode *result, const char *error, gpointer data)
{
    struct asking *asking = data;
    VhRamDevice *device = asking->device;
    JsonObject *object = vh_json_object(result);

    if (is_current(asking) && object) {
        if (!is_still(device, number(object, "actual")))
            return;
        device->block = 1;
        g_free(device->name);
        device->name = g_strdup("");
        vh_qmp_command(device->monitor, "query-memory-size-summary", NULL, on_summary, asking);
        return;
    }
    if (is_current(asking)) {
        g_autofree char *text =
            g_strdup_printf("%s (QEMU: %s)", NO_DEVICE, error ? error : "no answer");

        answered(device, VH_RAM_NONE, text);
    }
    end_asking(asking);
}

/* The first virtio-mem device of query-memory-devices; NULL: none. */
static JsonObject *find_virtio_mem(JsonArray *list)
{
    for (guint i = 0; i < vh_json_length(list); i++) {
        JsonObject *entry = vh_json_object(vh_json_element(list, i));
        JsonObject *inner = vh_json_member_object(entry, "data");

        if (g_str_equal(vh_json_member_text(entry, "type", ""), "virtio-mem") &&
            *vh_json_member_text(inner, "id", ""))
            return inner;
    }
    return NULL;
}

static void on_devices(JsonNode *result, const char *error, gpointer data)
{
    struct asking *asking = data;
    VhRamDevice *device = asking->device;
    JsonObject *found = NULL;

    (void)error;
    if (!is_current(asking)) {
        end_asking(asking);
        return;
    }
    found = find_virtio_mem(vh_json_array(result));
    if (!found) {
        vh_qmp_command(device->monitor, "query-balloon", NULL, on_balloon, asking);
        return;
    }
    g_free(device->name);
    device->name = g_strdup(vh_json_member_text(found, "id", ""));
    device->value = number(found, "requested-size");
    device->value_max = number(found, "max-size");
    device->block = MAX(number(found, "block-size"), 1);
    vh_qmp_command(device->monitor, "query-memory-size-summary", NULL, on_summary, asking);
}

bool vh_ram_device_need(VhRamDevice *device)
{
    if (device->kind != VH_RAM_UNKNOWN && g_get_monotonic_time() - device->known < FRESH_US)
        return true;
    if (device->monitor && !device->asking) {
        device->asking = g_new0(struct asking, 1);
        device->asking->device = vh_ram_device_ref(device);
        device->last = 0;
        vh_qmp_command(device->monitor, "query-memory-devices", NULL, on_devices, device->asking);
    }
    return false;
}

/* ---- changing ---- */

bool vh_ram_device_busy(const VhRamDevice *device)
{
    return device->orders > 0;
}

static void finish(struct order *order, const char *problem)
{
    VhRamDevice *device = order->device;

    device->orders--;
    if (problem)
        device->known = 0;
    set_problem(device, problem ? problem : "");
    if (order->done)
        order->done(problem, order->data);
    if (problem)
        tell(device);
    vh_ram_device_unref(device);
    g_free(order);
}

static void on_set(JsonNode *result, const char *error, gpointer data)
{
    finish(data, result ? NULL : error);
}

static void on_told(const char *problem, gpointer data)
{
    finish(data, problem);
}

const char *vh_ram_command(const char *name, guint64 value, JsonObject **arguments)
{
    *arguments = json_object_new();
    json_object_set_int_member(*arguments, "value", (gint64)value);
    if (*name) {
        g_autofree char *path = g_strconcat("/machine/peripheral/", name, NULL);

        json_object_set_string_member(*arguments, "path", path);
        json_object_set_string_member(*arguments, "property", "requested-size");
    }
    return *name ? "qom-set" : "balloon";
}

static void send_order(VhRamDevice *device, const char *name, guint64 value, struct order *order)
{
    JsonObject *arguments = NULL;
    const char *command = NULL;

    if (device->config->maker) {
        device->config->maker->set_memory(device->config, name, value, on_told, order);
        return;
    }
    command = vh_ram_command(name, value, &arguments);
    vh_qmp_command(device->monitor, command, arguments, on_set, order);
}

int vh_ram_device_restore(VhRamDevice *device, guint64 value, const char *name, VhRamDone done,
                          gpointer data, GError **error)
{
    struct order *order = NULL;

    if (!device->config || !device->monitor) {
        g_set_error(error, VH_ERROR, VH_ERROR_NOT_CONNECTED,
                    "its memory cannot be changed while its monitor is not connected");
        return -1;
    }
    order = g_new0(struct order, 1);
    order->device = vh_ram_device_ref(device);
    order->done = done;
    order->data = data;
    device->orders++;
    device->value = value;
    device->ordered = device->known = g_get_monotonic_time();
    send_order(device, name, value, order);
    return 0;
}

int vh_ram_device_set(VhRamDevice *device, guint64 bytes, VhRamDone done, gpointer data,
                      GError **error)
{
    guint64 value = bytes > device->plain ? bytes - device->plain : 0;

    if (device->kind != VH_RAM_BALLOON && device->kind != VH_RAM_VIRTIO_MEM) {
        g_set_error(error, VH_ERROR, VH_ERROR_REFUSED, "%s",
                    device->kind == VH_RAM_NONE ? NO_DEVICE : "not known yet");
        return -1;
    }
    if (device->value_max)
        value = MIN(value, device->value_max);
    return vh_ram_device_restore(device, value - value % device->block, device->name, done, data,
                                 error);
}

guint64 vh_ram_device_value(const VhRamDevice *device, const char **name)
{
    *name = device->name;
    return device->value;
}

const char *vh_ram_device_road(const VhRamDevice *device)
{
    return device->config && device->config->qmp ? device->config->qmp : "";
}
