
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_param.h"
#include "ngx_http_async_upload_name.h"
#include "ngx_http_async_upload_parse.h"


/* of a name or value in a message, bytes */
#define NGX_HTTP_ASYNC_UPLOAD_PARAM_SHOWN  64
#define NGX_HTTP_ASYNC_UPLOAD_PARAM_TEXT                                      \
    (NGX_HTTP_ASYNC_UPLOAD_PARAM_SHOWN + sizeof(".."))

/* of 32 bits, or what a number can be */
#define NGX_HTTP_ASYNC_UPLOAD_PARAM_EPOCH                                     \
    ((ngx_int_t) ngx_min((uint64_t) 0xffffffff, NGX_MAX_INT_T_VALUE))

#define NGX_HTTP_ASYNC_UPLOAD_PARAM_ALL                                       \
    (((ngx_uint_t) 1 << NGX_HTTP_ASYNC_UPLOAD_COMMANDS) - 1)


/*
 * A parameter: the commands that take it, those that cannot do without it or
 * another one so marked, how a value is read, between "min" and "max" where it
 * is a number, and where it is kept.
 */

typedef struct {
    ngx_str_t     name;
    ngx_uint_t    commands;             /* bits of command_e */
    ngx_uint_t    needed;               /* likewise */
    ngx_int_t   (*parse)(ngx_str_t *value);
    ngx_int_t     min;
    ngx_int_t     max;                  /* of a text: bytes */
    size_t        offset;
    const char   *allowed;
} ngx_http_async_upload_param_row_t;


static ngx_int_t ngx_http_async_upload_param_pair(
    ngx_http_async_upload_param_t *param, ngx_str_t *name, ngx_str_t *value);
static ngx_int_t ngx_http_async_upload_param_set(
    ngx_http_async_upload_param_t *param,
    ngx_http_async_upload_param_row_t *row, ngx_str_t *value);
static ngx_int_t ngx_http_async_upload_param_decode(ngx_pool_t *pool,
    ngx_str_t *text);
static ngx_int_t ngx_http_async_upload_param_hex(u_char c);
static ngx_int_t ngx_http_async_upload_param_number(ngx_str_t *value);
static ngx_int_t ngx_http_async_upload_param_percent(ngx_str_t *value);
static ngx_int_t ngx_http_async_upload_param_share(ngx_str_t *value);
static ngx_uint_t ngx_http_async_upload_param_printable(ngx_str_t *value);
static u_char *ngx_http_async_upload_param_shown(ngx_str_t *text,
    u_char *buf);
static ngx_str_t ngx_http_async_upload_param_names(
    ngx_http_async_upload_param_t *param, ngx_uint_t needed, u_char *buf,
    size_t size);


#define NGX_HTTP_ASYNC_UPLOAD_PARAM_BIT(command)                              \
    ((ngx_uint_t) 1 << NGX_HTTP_ASYNC_UPLOAD_##command)


static ngx_http_async_upload_param_row_t
    ngx_http_async_upload_param_table[] =
{
    { ngx_string("share"),
      NGX_HTTP_ASYNC_UPLOAD_PARAM_BIT(SHARE),
      NGX_HTTP_ASYNC_UPLOAD_PARAM_BIT(SHARE),
      ngx_http_async_upload_param_share,
      0, NGX_HTTP_ASYNC_UPLOAD_SHARE_MAX,
      offsetof(ngx_http_async_upload_param_t, order.share),
      "from 0% to 100% in steps of 0.01%" },

    { ngx_string("stage"),
      NGX_HTTP_ASYNC_UPLOAD_PARAM_BIT(ADVANCE)
      |NGX_HTTP_ASYNC_UPLOAD_PARAM_BIT(RESUME),
      0,
      ngx_http_async_upload_param_number,
      1, NGX_HTTP_ASYNC_UPLOAD_STAGES,
      offsetof(ngx_http_async_upload_param_t, order.stage),
      "a number from 1 to 32" },

    { ngx_string("force"),
      NGX_HTTP_ASYNC_UPLOAD_PARAM_BIT(ADVANCE)
      |NGX_HTTP_ASYNC_UPLOAD_PARAM_BIT(ROLLBACK),
      0,
      ngx_http_async_upload_param_number,
      1, 1,
      offsetof(ngx_http_async_upload_param_t, order.force),
      "1" },

    { ngx_string("complaints"),
      NGX_HTTP_ASYNC_UPLOAD_PARAM_BIT(SIGNAL),
      NGX_HTTP_ASYNC_UPLOAD_PARAM_BIT(SIGNAL),
      ngx_http_async_upload_param_number,
      1, 1000000,
      offsetof(ngx_http_async_upload_param_t, order.complaints),
      "a number from 1 to 1000000" },

    { ngx_string("memory"),
      NGX_HTTP_ASYNC_UPLOAD_PARAM_BIT(SIGNAL),
      NGX_HTTP_ASYNC_UPLOAD_PARAM_BIT(SIGNAL),
      ngx_http_async_upload_param_percent,
      1, 10000,
      offsetof(ngx_http_async_upload_param_t, order.memory),
      "a whole percentage from 1% to 10000%" },

    { ngx_string("critical"),
      NGX_HTTP_ASYNC_UPLOAD_PARAM_BIT(SIGNAL),
      NGX_HTTP_ASYNC_UPLOAD_PARAM_BIT(SIGNAL),
      ngx_http_async_upload_param_number,
      1, 1,
      offsetof(ngx_http_async_upload_param_t, order.critical),
      "1" },

    { ngx_string("actor"),
      NGX_HTTP_ASYNC_UPLOAD_PARAM_ALL,
      0,
      NULL,
      0, 64,
      offsetof(ngx_http_async_upload_param_t, actor),
      "at most 64 bytes of UTF-8 without control characters" },

    { ngx_string("reason"),
      NGX_HTTP_ASYNC_UPLOAD_PARAM_ALL,
      0,
      NULL,
      0, 190,
      offsetof(ngx_http_async_upload_param_t, order.why),
      "at most 190 bytes of UTF-8 without control characters" },

    { ngx_string("if_epoch"),
      NGX_HTTP_ASYNC_UPLOAD_PARAM_ALL,
      0,
      ngx_http_async_upload_param_number,
      1, NGX_HTTP_ASYNC_UPLOAD_PARAM_EPOCH,
      offsetof(ngx_http_async_upload_param_t, order.if_epoch),
      "a number from 1 to 4294967295" }
};

#define NGX_HTTP_ASYNC_UPLOAD_PARAM_N                                         \
    (sizeof(ngx_http_async_upload_param_table)                                \
     / sizeof(ngx_http_async_upload_param_table[0]))


void
ngx_http_async_upload_param_start(ngx_http_async_upload_param_t *param,
    ngx_uint_t command, ngx_http_async_upload_answer_t *answer,
    ngx_pool_t *pool)
{
    ngx_memzero(param, sizeof(ngx_http_async_upload_param_t));

    param->answer = answer;
    param->pool = pool;

    ngx_str_set(&param->actor, "");

    param->order.command = command;
    ngx_str_set(&param->order.why, "");
    param->order.share = -1;
    param->order.if_epoch = -1;
    param->order.complaints = -1;
    param->order.memory = -1;
    param->order.critical = -1;
}


ngx_int_t
ngx_http_async_upload_param_add(ngx_http_async_upload_param_t *param,
    ngx_str_t *text)
{
    u_char     *p, *last, *end, *eq;
    ngx_str_t   name, value;

    last = text->data + text->len;

    for (p = text->data; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, '&');
        if (end == NULL) {
            end = last;
        }

        if (p == end) {
            continue;
        }

        eq = ngx_strlchr(p, end, '=');

        name.data = p;
        name.len = (eq ? eq : end) - p;

        value.data = eq ? eq + 1 : end;
        value.len = end - value.data;

        if (ngx_http_async_upload_param_pair(param, &name, &value) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_async_upload_param_pair(ngx_http_async_upload_param_t *param,
    ngx_str_t *name, ngx_str_t *value)
{
    u_char                             *shown, buf[256];
    u_char                              text[NGX_HTTP_ASYNC_UPLOAD_PARAM_TEXT];
    ngx_int_t                           rc;
    ngx_str_t                           names, *command;
    ngx_uint_t                          i;
    ngx_http_async_upload_param_row_t  *row;

    shown = ngx_http_async_upload_param_shown(name, text);

    rc = ngx_http_async_upload_param_decode(param->pool, name);

    if (rc == NGX_OK) {
        shown = ngx_http_async_upload_param_shown(name, text);

        rc = ngx_http_async_upload_param_decode(param->pool, value);
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_async_upload_rollout_refuse(param->answer,
                      NGX_HTTP_BAD_REQUEST, "bad_request",
                      "invalid percent-encoding in parameter \"%s\"", shown);
    }

    if (rc == NGX_ERROR) {
        return ngx_http_async_upload_rollout_refuse(param->answer,
                      NGX_HTTP_INTERNAL_SERVER_ERROR, "no_memory",
                      "out of memory");
    }

    row = ngx_http_async_upload_param_table;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_PARAM_N; i++) {

        if (row[i].name.len != name->len
            || ngx_strncmp(row[i].name.data, name->data, name->len) != 0
            || !(row[i].commands >> param->order.command & 1))
        {
            continue;
        }

        if (param->given >> i & 1) {
            return ngx_http_async_upload_rollout_refuse(param->answer,
                          NGX_HTTP_BAD_REQUEST, "bad_request",
                          "parameter \"%V\" is given twice", name);
        }

        param->given |= (ngx_uint_t) 1 << i;

        return ngx_http_async_upload_param_set(param, &row[i], value);
    }

    command = &ngx_http_async_upload_name_commands[param->order.command];
    names = ngx_http_async_upload_param_names(param, 0, buf, sizeof(buf));

    return ngx_http_async_upload_rollout_refuse(param->answer,
                  NGX_HTTP_BAD_REQUEST, "bad_request",
                  "\"%V\" takes no parameter \"%s\", it takes %V",
                  command, shown, &names);
}


static ngx_int_t
ngx_http_async_upload_param_set(ngx_http_async_upload_param_t *param,
    ngx_http_async_upload_param_row_t *row, ngx_str_t *value)
{
    u_char      text[NGX_HTTP_ASYNC_UPLOAD_PARAM_TEXT];
    u_char     *field;
    ngx_int_t   n;

    field = (u_char *) param + row->offset;

    if (row->parse == NULL) {

        if (value->len <= (size_t) row->max
            && ngx_http_async_upload_param_printable(value))
        {
            *(ngx_str_t *) field = *value;
            return NGX_OK;
        }

    } else {
        n = row->parse(value);

        if (n != NGX_ERROR && n >= row->min && n <= row->max) {
            *(ngx_int_t *) field = n;
            return NGX_OK;
        }
    }

    return ngx_http_async_upload_rollout_refuse(param->answer,
                  NGX_HTTP_BAD_REQUEST, "bad_request",
                  "invalid value \"%s\" of parameter \"%V\", it must be %s",
                  ngx_http_async_upload_param_shown(value, text), &row->name,
                  row->allowed);
}


ngx_int_t
ngx_http_async_upload_param_end(ngx_http_async_upload_param_t *param)
{
    u_char                              buf[256];
    ngx_str_t                           names, *command;
    ngx_uint_t                          i, needed, given;
    ngx_http_async_upload_param_row_t  *row;

    row = ngx_http_async_upload_param_table;
    needed = 0;
    given = 0;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_PARAM_N; i++) {
        if (row[i].needed >> param->order.command & 1) {
            needed++;
            given += param->given >> i & 1;
        }
    }

    if (needed == 0 || given) {
        return NGX_OK;
    }

    command = &ngx_http_async_upload_name_commands[param->order.command];
    names = ngx_http_async_upload_param_names(param, 1, buf, sizeof(buf));

    return ngx_http_async_upload_rollout_refuse(param->answer,
                  NGX_HTTP_BAD_REQUEST, "bad_request", "\"%V\" needs %s%V",
                  command, needed == 1 ? "the parameter "
                                       : "at least one of ",
                  &names);
}


/* in memory of its own; NGX_DECLINED if a "%" has not two hex digits */

static ngx_int_t
ngx_http_async_upload_param_decode(ngx_pool_t *pool, ngx_str_t *text)
{
    u_char     *p, *last, *dst;
    ngx_int_t   high, low;

    dst = ngx_pnalloc(pool, text->len + 1);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    p = text->data;
    last = p + text->len;

    text->data = dst;

    while (p < last) {

        if (*p == '+') {
            *dst++ = ' ';
            p++;
            continue;
        }

        if (*p != '%') {
            *dst++ = *p++;
            continue;
        }

        if (last - p < 3) {
            return NGX_DECLINED;
        }

        high = ngx_http_async_upload_param_hex(p[1]);
        low = ngx_http_async_upload_param_hex(p[2]);

        if (high == NGX_ERROR || low == NGX_ERROR) {
            return NGX_DECLINED;
        }

        *dst++ = (u_char) (high << 4 | low);
        p += 3;
    }

    text->len = dst - text->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_async_upload_param_hex(u_char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    return (c >= 'a' && c <= 'f') ? c - 'a' + 10 : NGX_ERROR;
}


static ngx_int_t
ngx_http_async_upload_param_number(ngx_str_t *value)
{
    return ngx_atoi(value->data, value->len);
}


static ngx_int_t
ngx_http_async_upload_param_percent(ngx_str_t *value)
{
    size_t  len;

    len = value->len;

    if (len && value->data[len - 1] == '%') {
        len--;
    }

    return ngx_atoi(value->data, len);
}


static ngx_int_t
ngx_http_async_upload_param_share(ngx_str_t *value)
{
    return ngx_http_async_upload_parse_share(value, 0);
}


/* UTF-8 without control characters, the second set of them included */

static ngx_uint_t
ngx_http_async_upload_param_printable(ngx_str_t *value)
{
    u_char    *p, *last;
    uint32_t   c;

    p = value->data;
    last = p + value->len;

    while (p < last) {

        if (*p < 0x80) {
            c = *p++;

        } else {
            c = ngx_utf8_decode(&p, last - p);
        }

        if (c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0xd800 && c < 0xe000)
            || c > 0x10ffff)
        {
            return 0;
        }
    }

    return 1;
}


/* what was given as a message has it: short, and one line whatever it was */

static u_char *
ngx_http_async_upload_param_shown(ngx_str_t *text, u_char *buf)
{
    u_char  *p;
    size_t   i;

    p = buf;

    for (i = 0; i < text->len && i < NGX_HTTP_ASYNC_UPLOAD_PARAM_SHOWN; i++) {
        *p++ = (text->data[i] < 0x20 || text->data[i] == 0x7f)
               ? '?' : text->data[i];
    }

    if (i < text->len) {
        *p++ = '.';
        *p++ = '.';
    }

    *p = '\0';

    return buf;
}


/* the parameters that the command takes, or those it needs one of */

static ngx_str_t
ngx_http_async_upload_param_names(ngx_http_async_upload_param_t *param,
    ngx_uint_t needed, u_char *buf, size_t size)
{
    u_char                             *p;
    ngx_str_t                           names;
    ngx_uint_t                          i, commands;
    ngx_http_async_upload_param_row_t  *row;

    row = ngx_http_async_upload_param_table;
    p = buf;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_PARAM_N; i++) {
        commands = needed ? row[i].needed : row[i].commands;

        if (commands >> param->order.command & 1) {
            p = ngx_slprintf(p, buf + size, "%s%V", p == buf ? "" : ", ",
                             &row[i].name);
        }
    }

    names.data = buf;
    names.len = p - buf;

    return names;
}
