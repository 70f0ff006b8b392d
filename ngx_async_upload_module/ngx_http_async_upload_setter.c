
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_setter.h"
#include "ngx_http_async_upload_bucket.h"
#include "ngx_http_async_upload_name.h"
#include "ngx_http_async_upload_parse.h"
#include "ngx_http_async_upload_status.h"
#include "ngx_http_async_upload_zone.h"


/* the name is part of addresses, of metrics and of a file's name */
#define NGX_HTTP_ASYNC_UPLOAD_SETTER_NAME  64


static char *ngx_http_async_upload_setter_zone(ngx_conf_t *cf, ngx_str_t *word,
    ngx_str_t *name, size_t *size);
static ngx_uint_t ngx_http_async_upload_setter_is_name(ngx_str_t *name);
static char *ngx_http_async_upload_setter_state(ngx_conf_t *cf,
    ngx_str_t *word, ngx_str_t *path);
static char *ngx_http_async_upload_setter_word(ngx_conf_t *cf,
    ngx_str_t *names, ngx_uint_t n, const char *allowed, ngx_uint_t *value,
    ngx_http_async_upload_source_e *source);


void
ngx_http_async_upload_setter_mark(ngx_conf_t *cf,
    ngx_http_async_upload_rollout_t *rollout)
{
    ngx_str_t  *value;

    if (rollout->file_name) {
        return;
    }

    value = cf->args->elts;

    rollout->directive = value[0];
    rollout->file_name = cf->conf_file->file.name.data;
    rollout->line = cf->conf_file->line;
}


char *
ngx_http_async_upload_setter_rollout(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_async_upload_rollout_t *rollout = conf;

    char            *rv;
    u_char          *p;
    size_t           size;
    ngx_str_t       *value, name, zone, state;
    ngx_uint_t       i, kept;
    ngx_shm_zone_t  *shm_zone;

    if (rollout->name.len) {
        return "is duplicate";
    }

    value = cf->args->elts;
    ngx_str_null(&name);
    ngx_str_null(&state);
    kept = 0;
    size = 0;

    for (i = 2; i < cf->args->nelts; i++) {

        if (name.len == 0 && ngx_strncmp(value[i].data, "zone=", 5) == 0) {

            rv = ngx_http_async_upload_setter_zone(cf, &value[i], &name, &size);
            if (rv != NGX_CONF_OK) {
                return rv;
            }

            continue;
        }

        if (!kept && ngx_strncmp(value[i].data, "state=", 6) == 0) {

            rv = ngx_http_async_upload_setter_state(cf, &value[i], &state);
            if (rv != NGX_CONF_OK) {
                return rv;
            }

            kept = 1;
            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\"", &value[i]);
        return NGX_CONF_ERROR;
    }

    if (name.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must have the \"zone=name:size\" parameter",
                           &cmd->name);
        return NGX_CONF_ERROR;
    }

    zone.len = sizeof(NGX_HTTP_ASYNC_UPLOAD_ZONE_PREFIX) - 1 + name.len;

    zone.data = ngx_pnalloc(cf->pool, zone.len);
    if (zone.data == NULL) {
        return NGX_CONF_ERROR;
    }

    p = ngx_cpymem(zone.data, NGX_HTTP_ASYNC_UPLOAD_ZONE_PREFIX,
                   sizeof(NGX_HTTP_ASYNC_UPLOAD_ZONE_PREFIX) - 1);
    ngx_memcpy(p, name.data, name.len);

    shm_zone = ngx_shared_memory_add(cf, &zone, size,
                                     &ngx_http_async_upload_module);
    if (shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    if (shm_zone->data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" is that of another rollout", &name);
        return NGX_CONF_ERROR;
    }

    shm_zone->init = ngx_http_async_upload_zone_init;
    shm_zone->data = rollout;

    rollout->cycle = cf->cycle;
    rollout->name = name;
    rollout->async_name = value[1];
    rollout->shm_zone = shm_zone;
    rollout->file_name = NULL;

    if (kept) {
        rollout->state = state;
        rollout->state_off = (state.len == 0);
        rollout->state_source = NGX_HTTP_ASYNC_UPLOAD_FROM_CONF;
    }

    if (rollout->state_off) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "with \"state=off\" rollout \"%V\" is at 0%% "
                           "after every start of nginx until it is told to "
                           "resume", &name);
    }

    ngx_http_async_upload_setter_mark(cf, rollout);

    return NGX_CONF_OK;
}


static char *
ngx_http_async_upload_setter_zone(ngx_conf_t *cf, ngx_str_t *word,
    ngx_str_t *name, size_t *size)
{
    u_char     *p, *last;
    ssize_t     n;
    ngx_str_t   s;

    last = word->data + word->len;

    name->data = word->data + 5;

    p = ngx_strlchr(name->data, last, ':');
    if (p == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid zone \"%V\", it must be zone=name:size",
                           word);
        return NGX_CONF_ERROR;
    }

    name->len = p - name->data;

    if (!ngx_http_async_upload_setter_is_name(name)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid zone name \"%V\", it must be 1 to %d "
                           "letters, digits, \".\", \"_\" or \"-\"",
                           name, NGX_HTTP_ASYNC_UPLOAD_SETTER_NAME);
        return NGX_CONF_ERROR;
    }

    s.data = p + 1;
    s.len = last - s.data;

    n = ngx_parse_size(&s);

    if (n == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid zone size \"%V\"", &s);
        return NGX_CONF_ERROR;
    }

    /* a slab pool wants some pages; what is needed at least is said later */

    *size = ngx_max((size_t) n, 8 * ngx_pagesize);

    return NGX_CONF_OK;
}


static ngx_uint_t
ngx_http_async_upload_setter_is_name(ngx_str_t *name)
{
    u_char      c;
    ngx_uint_t  i;

    if (name->len == 0 || name->len > NGX_HTTP_ASYNC_UPLOAD_SETTER_NAME) {
        return 0;
    }

    for (i = 0; i < name->len; i++) {
        c = name->data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
              || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-'))
        {
            return 0;
        }
    }

    return 1;
}


/* the path of the file, null-terminated; empty for "off" */

static char *
ngx_http_async_upload_setter_state(ngx_conf_t *cf, ngx_str_t *word,
    ngx_str_t *path)
{
    ngx_str_t        dir;
    ngx_file_info_t  fi;

    path->data = word->data + 6;
    path->len = word->len - 6;

    if (path->len == 3 && ngx_strncmp(path->data, "off", 3) == 0) {
        ngx_str_null(path);
        return NGX_CONF_OK;
    }

    if (path->len == 0 || path->data[path->len - 1] == '/') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\", it must be the path of a "
                           "file or off", word);
        return NGX_CONF_ERROR;
    }

    if (ngx_conf_full_name(cf->cycle, path, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_file_info(path->data, &fi) == 0 && ngx_is_dir(&fi)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "state file \"%V\" is a directory", path);
        return NGX_CONF_ERROR;
    }

    /* with the slash, so that nothing but a directory will do */

    dir.len = path->len;

    while (dir.len && path->data[dir.len - 1] != '/') {
        dir.len--;
    }

    dir.data = ngx_pnalloc(cf->temp_pool, dir.len + 1);
    if (dir.data == NULL) {
        return NGX_CONF_ERROR;
    }

    (void) ngx_cpystrn(dir.data, path->data, dir.len + 1);

    if (ngx_file_info(dir.data, &fi) != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "directory \"%V\" of the state file cannot be used",
                           &dir);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_async_upload_setter_enabled(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_async_upload_rollout_t *rollout = conf;

    ngx_str_t  *value;

    if (rollout->enabled != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcasecmp(value[1].data, (u_char *) "on") == 0) {
        rollout->enabled = 1;

    } else if (ngx_strcasecmp(value[1].data, (u_char *) "off") == 0) {
        rollout->enabled = 0;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\", it must be on or off",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    rollout->enabled_source = NGX_HTTP_ASYNC_UPLOAD_FROM_CONF;

    ngx_http_async_upload_setter_mark(cf, rollout);

    return NGX_CONF_OK;
}


char *
ngx_http_async_upload_setter_share(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_async_upload_rollout_t *rollout = conf;

    ngx_int_t   share;
    ngx_str_t  *value;

    if (rollout->share != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    if (rollout->stages) {
        return "is not allowed beside \"async_upload_stage\", the first stage "
               "is the share";
    }

    value = cf->args->elts;

    share = ngx_http_async_upload_parse_share(&value[1], 1);

    if (share == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid share \"%V\", it must be from 0%% to 100%% "
                           "in steps of 0.01%%", &value[1]);
        return NGX_CONF_ERROR;
    }

    rollout->share = share;
    rollout->share_source = NGX_HTTP_ASYNC_UPLOAD_FROM_CONF;

    ngx_http_async_upload_setter_mark(cf, rollout);

    return NGX_CONF_OK;
}


char *
ngx_http_async_upload_setter_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_async_upload_rollout_t *rollout = conf;

    ngx_str_t                    *value;
    ngx_uint_t                    i;
    ngx_array_t                  *keys;
    ngx_http_async_upload_key_t  *key;

    if (rollout->keys) {
        return "is duplicate";
    }

    value = cf->args->elts;

    keys = ngx_array_create(cf->pool, cf->args->nelts - 1,
                            sizeof(ngx_http_async_upload_key_t));
    if (keys == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strstr(value[i].data, "$async_upload_")
            || ngx_strstr(value[i].data, "${async_upload_"))
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid key \"%V\", it must not depend on the "
                               "decision", &value[i]);
            return NGX_CONF_ERROR;
        }

        key = ngx_array_push(keys);
        if (key == NULL) {
            return NGX_CONF_ERROR;
        }

        if (ngx_http_async_upload_parse_key(cf, &value[i], key) != NGX_OK) {
            return NGX_CONF_ERROR;
        }

        if (key->value.lengths == NULL) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid key \"%V\", without a variable it is "
                               "the same for every client", &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    rollout->keys = keys;
    rollout->key_source = NGX_HTTP_ASYNC_UPLOAD_FROM_CONF;

    ngx_http_async_upload_setter_mark(cf, rollout);

    return NGX_CONF_OK;
}


char *
ngx_http_async_upload_setter_missing(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_async_upload_rollout_t *rollout = conf;

    ngx_http_async_upload_setter_mark(cf, rollout);

    return ngx_http_async_upload_setter_word(cf,
                                         ngx_http_async_upload_name_missings, 2,
                                         "sync or random", &rollout->missing,
                                         &rollout->missing_source);
}


/* a word out of a table; sets the value and its source */

static char *
ngx_http_async_upload_setter_word(ngx_conf_t *cf, ngx_str_t *names,
    ngx_uint_t n, const char *allowed, ngx_uint_t *value,
    ngx_http_async_upload_source_e *source)
{
    ngx_int_t   i;
    ngx_str_t  *word;

    if (*value != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    word = cf->args->elts;

    i = ngx_http_async_upload_name_find(names, n, &word[1]);

    if (i == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\", it must be %s",
                           &word[1], allowed);
        return NGX_CONF_ERROR;
    }

    *value = i;
    *source = NGX_HTTP_ASYNC_UPLOAD_FROM_CONF;

    return NGX_CONF_OK;
}


char *
ngx_http_async_upload_setter_hash(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_async_upload_rollout_t *rollout = conf;

    int           mode;
    unsigned      n, whole;
    ngx_str_t    *value, *arg;
    ngx_uint_t    i;
    ngx_array_t  *args;

    if (rollout->hash_args) {
        return "is duplicate";
    }

    value = cf->args->elts;

    mode = ngx_http_async_upload_bucket_mode((char *) value[1].data,
                                             value[1].len, &n, &whole);

    if (mode == -1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid hash \"%V\", it must be one of %s",
                           &value[1], ngx_http_async_upload_bucket_modes());
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts - 2 != n) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid number of arguments of hash \"%V\": %ui, "
                           "it must have %ud",
                           &value[1], cf->args->nelts - 2, n);
        return NGX_CONF_ERROR;
    }

    args = ngx_array_create(cf->pool, n ? n : 1, sizeof(ngx_str_t));
    if (args == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < n; i++) {
        arg = ngx_array_push(args);
        if (arg == NULL) {
            return NGX_CONF_ERROR;
        }

        *arg = value[i + 2];
    }

    rollout->hash_mode = mode;
    rollout->hash_name = value[1];
    rollout->hash_whole = whole;
    rollout->hash_args = args;
    rollout->hash_source = NGX_HTTP_ASYNC_UPLOAD_FROM_CONF;

    ngx_http_async_upload_setter_mark(cf, rollout);

    return NGX_CONF_OK;
}


char *
ngx_http_async_upload_setter_methods(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_async_upload_rollout_t *rollout = conf;

    ngx_str_t                     *value;
    ngx_uint_t                     i, methods;
    ngx_http_async_upload_name_t  *m;

    if (rollout->methods) {
        return "is duplicate";
    }

    value = cf->args->elts;
    methods = 0;

    for (i = 1; i < cf->args->nelts; i++) {

        for (m = ngx_http_async_upload_name_methods; m->name.len; m++) {
            if (m->name.len == value[i].len
                && ngx_strcmp(m->name.data, value[i].data) == 0)
            {
                break;
            }
        }

        if (m->name.len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid method \"%V\", it must be one that "
                               "nginx knows, such as POST, PUT or PATCH",
                               &value[i]);
            return NGX_CONF_ERROR;
        }

        if (methods & m->value) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate method \"%V\"", &value[i]);
            return NGX_CONF_ERROR;
        }

        methods |= m->value;
    }

    rollout->methods = methods;
    rollout->methods_source = NGX_HTTP_ASYNC_UPLOAD_FROM_CONF;

    ngx_http_async_upload_setter_mark(cf, rollout);

    return NGX_CONF_OK;
}


char *
ngx_http_async_upload_setter_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_async_upload_loc_conf_t *lcf = conf;

    ngx_str_t                          *value;
    ngx_http_core_loc_conf_t           *clcf;
    ngx_http_async_upload_mention_t    *mention;
    ngx_http_async_upload_main_conf_t  *mcf;

    if (lcf->status) {
        return "is duplicate";
    }

    if (lcf->control) {
        return "is incompatible with \"async_upload_control\"";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2) {

        /* a parameter of another version is no name that was mistyped */

        if (ngx_strlchr(value[1].data, value[1].data + value[1].len, '=')) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\"", &value[1]);
            return NGX_CONF_ERROR;
        }

        mcf = ngx_http_conf_get_module_main_conf(cf,
                                                 ngx_http_async_upload_module);

        mention = ngx_array_push(&mcf->statuses);
        if (mention == NULL) {
            return NGX_CONF_ERROR;
        }

        mention->name = value[1];
        mention->file_name = cf->conf_file->file.name.data;
        mention->line = cf->conf_file->line;

        lcf->rollout = value[1];
    }

    lcf->status = 1;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_async_upload_status_handler;

    return NGX_CONF_OK;
}
