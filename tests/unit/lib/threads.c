// SPDX-License-Identifier: GPL-2.0-or-later
// For builds under ThreadSanitizer: tells it what GLib's locks, queues and tasks order.
//
// GLib waits with futexes of its own and is not compiled for the sanitizer, which therefore takes
// all that a GMutex guards for unguarded. Each function here stands before GLib's of the same name,
// calls that, and says what is released or acquired.
#include <dlfcn.h>
#include <gio/gio.h>
#include <sanitizer/tsan_interface.h>

#define REAL(name) ((__typeof__(&(name)))real(#name))

static void *real(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);

    g_assert(function);
    return function;
}

void g_mutex_lock(GMutex *mutex)
{
    REAL(g_mutex_lock)(mutex);
    __tsan_acquire(mutex);
}

void g_mutex_unlock(GMutex *mutex)
{
    __tsan_release(mutex);
    REAL(g_mutex_unlock)(mutex);
}

void g_cond_wait(GCond *cond, GMutex *mutex)
{
    __tsan_release(mutex);
    REAL(g_cond_wait)(cond, mutex);
    __tsan_acquire(mutex);
}

gboolean g_cond_wait_until(GCond *cond, GMutex *mutex, gint64 end)
{
    __tsan_release(mutex);
    gboolean signalled = REAL(g_cond_wait_until)(cond, mutex, end);

    __tsan_acquire(mutex);
    return signalled;
}

void g_async_queue_push(GAsyncQueue *queue, gpointer data)
{
    __tsan_release(queue);
    REAL(g_async_queue_push)(queue, data);
}

gpointer g_async_queue_pop(GAsyncQueue *queue)
{
    gpointer data = REAL(g_async_queue_pop)(queue);

    __tsan_acquire(queue);
    return data;
}

gpointer g_async_queue_try_pop(GAsyncQueue *queue)
{
    gpointer data = REAL(g_async_queue_try_pop)(queue);

    __tsan_acquire(queue);
    return data;
}

gpointer g_async_queue_timeout_pop(GAsyncQueue *queue, guint64 timeout)
{
    gpointer data = REAL(g_async_queue_timeout_pop)(queue, timeout);

    __tsan_acquire(queue);
    return data;
}

// The functions of pools and tasks, which run in threads of GLib's.

struct job {
    GFunc func;
    gpointer data;
};

static void do_job(gpointer item, gpointer data)
{
    struct job *job = data;

    __tsan_acquire(item);
    job->func(item, job->data);
}

GThreadPool *g_thread_pool_new(GFunc func, gpointer data, gint max, gboolean exclusive,
                               GError **error)
{
    struct job *job = g_new(struct job, 1); // as long as the process lives

    *job = (struct job){func, data};
    return REAL(g_thread_pool_new)(do_job, job, max, exclusive, error);
}

gboolean g_thread_pool_push(GThreadPool *pool, gpointer item, GError **error)
{
    __tsan_release(item);
    return REAL(g_thread_pool_push)(pool, item, error);
}

static void do_task(GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
    __tsan_acquire(task);
    GTaskThreadFunc func = (GTaskThreadFunc)g_object_get_data(G_OBJECT(task), "vh-threads-func");

    func(task, source, data, cancellable);
    __tsan_release(task);
}

void g_task_run_in_thread(GTask *task, GTaskThreadFunc func)
{
    g_object_set_data(G_OBJECT(task), "vh-threads-func", (gpointer)func);
    __tsan_release(task);
    REAL(g_task_run_in_thread)(task, do_task);
}

struct reply {
    GAsyncReadyCallback callback;
    gpointer data;
};

static void take_reply(GObject *source, GAsyncResult *task, gpointer data)
{
    g_autofree struct reply *reply = data;

    __tsan_acquire(task);
    reply->callback(source, task, reply->data);
}

GTask *g_task_new(gpointer source, GCancellable *cancellable, GAsyncReadyCallback callback,
                  gpointer data)
{
    if (!callback)
        return REAL(g_task_new)(source, cancellable, NULL, data);
    struct reply *reply = g_new(struct reply, 1);

    *reply = (struct reply){callback, data};
    return REAL(g_task_new)(source, cancellable, take_reply, reply);
}

void g_task_return_pointer(GTask *task, gpointer result, GDestroyNotify destroy)
{
    __tsan_release(task);
    REAL(g_task_return_pointer)(task, result, destroy);
}

void g_task_return_int(GTask *task, gssize result)
{
    __tsan_release(task);
    REAL(g_task_return_int)(task, result);
}

void g_task_return_boolean(GTask *task, gboolean result)
{
    __tsan_release(task);
    REAL(g_task_return_boolean)(task, result);
}

void g_task_return_error(GTask *task, GError *error)
{
    __tsan_release(task);
    REAL(g_task_return_error)(task, error);
}
