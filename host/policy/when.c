// SPDX-License-Identifier: GPL-2.0-or-later
// Parses, binds and evaluates conditions.
#include "policy/when.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"

enum literal { LITERAL_NUMBER, LITERAL_WORD, LITERAL_TEXT };

struct term {
    char *path;
    enum vh_op op;
    enum literal literal;
    bool negative;
    uint64_t number; /* NUMBER: its absolute value */
    char *text;      /* WORD, TEXT */
};

struct VhWhen {
    unsigned count;
    struct term terms[VH_WHEN_TERMS_MAX];
};

/* Longer signs before their beginnings. */
static const char *const op_signs[] = {
    [VH_OP_EQ] = "==", [VH_OP_NE] = "!=",      [VH_OP_LE] = "<=",
    [VH_OP_GE] = ">=", [VH_OP_NONE_OF] = "!&", [VH_OP_LT] = "<",
    [VH_OP_GT] = ">",  [VH_OP_SOME_OF] = "&",  [VH_OP_LIKE] = "~",
};
G_STATIC_ASSERT(G_N_ELEMENTS(op_signs) == VH_OP_COUNT);

#define OPS "== != < <= > >= & !& ~"

/* ---- text to terms ---- */

static void skip_space(const char **at)
{
    while (g_ascii_isspace(**at))
        (*at)++;
}

static int parse_path(const char **at, struct term *term, GError **error)
{
    gsize len = 0;

    while (g_ascii_isalnum((*at)[len]) || ((*at)[len] && strchr("_.[]", (*at)[len])))
        len++;
    if (!len || g_ascii_isdigit(**at))
        return vh_invalid(
            error,
            "there is \"%s\" where a field's name should be: a condition is FIELD OP VALUE && ...",
            *at);
    term->path = g_strndup(*at, len);
    *at += len;
    return 0;
}

static int parse_op(const char **at, struct term *term, GError **error)
{
    skip_space(at);
    for (unsigned i = 0; i < VH_OP_COUNT; i++) {
        if (!g_str_has_prefix(*at, op_signs[i]) || g_str_has_prefix(*at, "&&"))
            continue;
        term->op = (enum vh_op)i;
        *at += strlen(op_signs[i]);
        return 0;
    }
    if (**at == '=')
        return vh_invalid(error, "\"=\" after \"%s\" does not compare; did you mean \"==\"?",
                          term->path);
    return vh_invalid(error, "there is \"%s\" after \"%s\" where an operator should be: " OPS, *at,
                      term->path);
}

static int parse_text(const char **at, struct term *term, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    const char *from = (*at)++;

    for (; **at && **at != '"'; (*at)++) {
        if (**at == '\\' && (*at)[1])
            (*at)++;
        g_string_append_c(text, **at);
    }
    if (!**at)
        return vh_invalid(error, "the text %s has no end: close it with \"", from);
    (*at)++;
    term->literal = LITERAL_TEXT;
    term->text = g_string_free(g_steal_pointer(&text), FALSE);
    return 0;
}

static int parse_number(const char **at, struct term *term, GError **error)
{
    const char *from = *at;
    char *end = NULL;
    int base = 10;

    term->negative = *from == '-';
    from += term->negative;
    if (from[0] == '0' && (from[1] == 'x' || from[1] == 'X')) {
        base = 16;
        from += 2;
    }
    errno = 0;
    term->number = g_ascii_strtoull(from, &end, (guint)base);
    if (!g_ascii_isxdigit(*from) || end == from || g_ascii_isalnum(*end) || *end == '_' || errno)
        return vh_invalid(error, "\"%s\" does not begin with a number of at most 64 bits", *at);
    term->literal = LITERAL_NUMBER;
    *at = end;
    return 0;
}

static int parse_value(const char **at, struct term *term, GError **error)
{
    gsize len = 0;

    skip_space(at);
    if (**at == '"')
        return parse_text(at, term, error);
    if (**at == '-' || g_ascii_isdigit(**at))
        return parse_number(at, term, error);
    while (g_ascii_isalnum((*at)[len]) || (*at)[len] == '_')
        len++;
    if (!len)
        return vh_invalid(
            error, "there is \"%s\" after \"%s %s\" where a number, a name or \"text\" should be",
            *at, term->path, op_signs[term->op]);
    term->literal = LITERAL_WORD;
    term->text = g_strndup(*at, len);
    *at += len;
    return 0;
}

/* Up to the next term. 1: there is one, 0: the end. */
static int parse_joint(const char **at, GError **error)
{
    skip_space(at);
    if (!**at)
        return 0;
    if (g_str_has_prefix(*at, "||"))
        return vh_invalid(error, "there is no \"||\": write a second rule");
    if (!g_str_has_prefix(*at, "&&"))
        return vh_invalid(error, "there is \"%s\" where \"&&\" or the end should be", *at);
    *at += 2;
    skip_space(at);
    return 1;
}

VhWhen *vh_when_parse(const char *text, GError **error)
{
    g_autoptr(VhWhen) when = g_new0(VhWhen, 1);
    const char *at = text;
    int more = 1;

    skip_space(&at);
    while (more > 0) {
        struct term *term = &when->terms[when->count];

        if (when->count == VH_WHEN_TERMS_MAX) {
            vh_invalid(error, "a condition has at most %u comparisons", VH_WHEN_TERMS_MAX);
            return NULL;
        }
        when->count++;
        if (parse_path(&at, term, error) < 0 || parse_op(&at, term, error) < 0 ||
            parse_value(&at, term, error) < 0)
            return NULL;
        more = parse_joint(&at, error);
    }
    return more < 0 ? NULL : g_steal_pointer(&when);
}

void vh_when_free(VhWhen *when)
{
    if (!when)
        return;
    for (unsigned i = 0; i < when->count; i++) {
        g_free(when->terms[i].path);
        g_free(when->terms[i].text);
    }
    g_free(when);
}

/* ---- terms to tests ---- */

/* The literal as the field's number. */
static int bind_number(const struct term *term, struct vh_test *test, GError **error)
{
    const struct vh_fieldref *field = &test->field;
    unsigned bits = field->type == VH_FIELD_BOOL ? 1 : field->bits;
    uint64_t max = ~(uint64_t)0 >> (64 - bits);

    if (field->is_signed)
        max >>= 1;
    if (term->negative ? !field->is_signed || term->number > max + 1 : term->number > max)
        return vh_invalid(error,
                          "\"%s\" is never %s%" G_GUINT64_FORMAT
                          ": it has %u bits, from %s%" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT,
                          term->path, term->negative ? "-" : "", (guint64)term->number, bits,
                          field->is_signed ? "-" : "", (guint64)(field->is_signed ? max + 1 : 0),
                          (guint64)max);
    test->value = term->negative ? (uint64_t)0 - term->number : term->number;
    return 0;
}

static int bind_word(const struct term *term, const struct vh_kind *kind, struct vh_test *test,
                     GError **error)
{
    if (test->field.type == VH_FIELD_ENUM) {
        if (vh_fieldref_constant(kind, &test->field, term->text, &test->value, error) == 0)
            return 0;
        g_prefix_error(error, "\"%s\": ", term->path);
        return -1;
    }
    if (test->field.type == VH_FIELD_BOOL &&
        (g_str_equal(term->text, "true") || g_str_equal(term->text, "false"))) {
        test->value = *term->text == 't';
        return 0;
    }
    return vh_invalid(error, "\"%s\" is %s, and \"%s\" is not", term->path,
                      test->field.type == VH_FIELD_BOOL ? "true or false" : "a number", term->text);
}

static int bind_term(const struct term *term, const struct vh_kind *kind, struct vh_test *test,
                     GError **error)
{
    if (vh_fieldref_find(kind, term->path, &test->field, error) < 0)
        return -1;
    test->op = term->op;
    if (test->field.type == VH_FIELD_INTS)
        return vh_invalid(error, "\"%s\" is an array: name an element, as %s[0]", term->path,
                          term->path);
    if (test->field.type == VH_FIELD_TEXT) {
        if (term->op != VH_OP_EQ && term->op != VH_OP_NE && term->op != VH_OP_LIKE)
            return vh_invalid(error, "\"%s\" is text, which %s does not compare: use ==, != or ~",
                              term->path, op_signs[term->op]);
        if (term->literal != LITERAL_TEXT)
            return vh_invalid(error, "\"%s\" is text: put the value into quotes, as %s == \"name\"",
                              term->path, term->path);
        test->text = term->text;
        test->len = (uint32_t)strlen(term->text);
        if (term->op != VH_OP_LIKE && test->len > test->field.count)
            return vh_invalid(error, "\"%s\" has room for %u characters, \"%s\" has %u", term->path,
                              test->field.count, term->text, test->len);
        return 0;
    }
    if (term->op == VH_OP_LIKE || term->literal == LITERAL_TEXT)
        return vh_invalid(
            error, "\"%s\" is no text: compare it with a number%s", term->path,
            test->field.type == VH_FIELD_ENUM ? " or the name of a constant, without quotes" : "");
    if (test->field.type == VH_FIELD_BOOL && term->op != VH_OP_EQ && term->op != VH_OP_NE)
        return vh_invalid(error, "\"%s\" is true or false, which %s does not compare: use == or !=",
                          term->path, op_signs[term->op]);
    return term->literal == LITERAL_NUMBER ? bind_number(term, test, error)
                                           : bind_word(term, kind, test, error);
}

int vh_when_bind(const VhWhen *when, const struct vh_kind *kind, struct vh_tests *tests,
                 GError **error)
{
    struct vh_tests made = {.count = when->count};

    for (unsigned i = 0; i < when->count; i++)
        if (bind_term(&when->terms[i], kind, &made.tests[i], error) < 0)
            return -1;
    *tests = made;
    return 0;
}

/* ---- tests on records ---- */

/* '*' and '?'. A mismatch goes back to the last '*' only, so this ends after at most len * pattern
 * steps. */
static bool is_like(const char *text, uint32_t len, const char *pattern, uint32_t pattern_len)
{
    uint32_t at = 0, in = 0, star = UINT32_MAX, resume = 0;

    while (at < len) {
        if (in < pattern_len && pattern[in] == '*') {
            star = in++;
            resume = at;
        } else if (in < pattern_len && (pattern[in] == '?' || pattern[in] == text[at])) {
            in++;
            at++;
        } else if (star != UINT32_MAX) {
            in = star + 1;
            at = ++resume;
        } else {
            return false;
        }
    }
    while (in < pattern_len && pattern[in] == '*')
        in++;
    return in == pattern_len;
}

static bool text_holds(const struct vh_test *test, const uint8_t *record)
{
    uint32_t len = 0;
    const char *text = vh_fieldref_text(&test->field, record, &len);
    bool equal = false;

    if (test->op == VH_OP_LIKE)
        return is_like(text, len, test->text, test->len);
    equal = len == test->len && memcmp(text, test->text, len) == 0;
    return equal == (test->op == VH_OP_EQ);
}

static bool number_holds(const struct vh_test *test, uint64_t a)
{
    uint64_t b = test->value;
    bool less = test->field.is_signed ? (int64_t)a < (int64_t)b : a < b;

    switch (test->op) {
    case VH_OP_EQ:
        return a == b;
    case VH_OP_NE:
        return a != b;
    case VH_OP_LT:
        return less;
    case VH_OP_LE:
        return less || a == b;
    case VH_OP_GT:
        return !less && a != b;
    case VH_OP_GE:
        return !less;
    case VH_OP_SOME_OF:
        return (a & b) != 0;
    default:
        return (a & b) == 0;
    }
}

bool vh_tests_hold(const struct vh_tests *tests, const uint8_t *record)
{
    for (unsigned i = 0; i < tests->count; i++) {
        const struct vh_test *test = &tests->tests[i];

        if (test->field.type == VH_FIELD_TEXT
                ? !text_holds(test, record)
                : !number_holds(test, vh_fieldref_number(&test->field, record)))
            return false;
    }
    return true;
}
