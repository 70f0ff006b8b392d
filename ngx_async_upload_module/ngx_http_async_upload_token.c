
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_token.h"
#include "ngx_http_async_upload_access.h"
#include "ngx_http_async_upload_control.h"

#include <openssl/crypto.h>


#define NGX_HTTP_ASYNC_UPLOAD_TOKEN_MIN   16        /* bytes of a token */
#define NGX_HTTP_ASYNC_UPLOAD_TOKEN_FILE  65536     /* bytes, at most */


static ngx_array_t *ngx_http_async_upload_token_load(ngx_conf_t *cf,
    ngx_str_t *path);
static u_char *ngx_http_async_upload_token_read(ngx_conf_t *cf,
    ngx_str_t *path, size_t *size);
static ngx_int_t ngx_http_async_upload_token_check(ngx_conf_t *cf,
    ngx_str_t *path, ngx_file_info_t *fi);
static ngx_array_t *ngx_http_async_upload_token_parse(ngx_conf_t *cf,
    ngx_str_t *path, u_char *p, u_char *last);
static ngx_int_t ngx_http_async_upload_token_add(ngx_conf_t *cf,
    ngx_array_t *tokens, ngx_str_t *path, ngx_uint_t number, ngx_str_t *line);
static ngx_int_t ngx_http_async_upload_token_keep(ngx_conf_t *cf,
    ngx_array_t *tokens, ngx_str_t *path, ngx_uint_t number, ngx_str_t *name,
    ngx_str_t *secret);
static ngx_uint_t ngx_http_async_upload_token_is_name(ngx_str_t *name);


char *
ngx_http_async_upload_token_control(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_async_upload_loc_conf_t *lcf = conf;

    ngx_str_t                 *value, path;
    ngx_uint_t                 i;
    ngx_array_t               *tokens;
    ngx_http_core_loc_conf_t  *clcf;

    if (lcf->control) {
        return "is duplicate";
    }

    if (lcf->status) {
        return "is incompatible with \"async_upload_status\"";
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->named || clcf->exact_match
#if (NGX_PCRE)
        || clcf->regex
#endif
       )
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must be in a prefix location, \"%V\" is %s",
                           &cmd->name, &clcf->name,
                           clcf->named ? "a named one"
                           : clcf->exact_match ? "an exact one"
                                               : "a regular expression");
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;
    tokens = NULL;

    for (i = 1; i < cf->args->nelts; i++) {

        if (tokens == NULL && ngx_strncmp(value[i].data, "token=", 6) == 0
            && value[i].len > 6)
        {
            path.data = value[i].data + 6;
            path.len = value[i].len - 6;

            tokens = ngx_http_async_upload_token_load(cf, &path);
            if (tokens == NULL) {
                return NGX_CONF_ERROR;
            }

            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\"", &value[i]);
        return NGX_CONF_ERROR;
    }

    lcf->control = 1;
    lcf->prefix = clcf->name;
    lcf->tokens = tokens;

    clcf->handler = ngx_http_async_upload_control_handler;

    return NGX_CONF_OK;
}


static ngx_array_t *
ngx_http_async_upload_token_load(ngx_conf_t *cf, ngx_str_t *path)
{
    u_char       *text;
    size_t        size;
    ngx_array_t  *tokens;

    if (ngx_conf_full_name(cf->cycle, path, 1) != NGX_OK) {
        return NULL;
    }

    text = ngx_http_async_upload_token_read(cf, path, &size);
    if (text == NULL) {
        return NULL;
    }

    tokens = ngx_http_async_upload_token_parse(cf, path, text, text + size);

    OPENSSL_cleanse(text, NGX_HTTP_ASYNC_UPLOAD_TOKEN_FILE);
    ngx_free(text);

    return tokens;
}


/* all of the file, in memory of its own */

static u_char *
ngx_http_async_upload_token_read(ngx_conf_t *cf, ngx_str_t *path, size_t *size)
{
    u_char           *text;
    ssize_t           n;
    ngx_fd_t          fd;
    ngx_file_info_t   fi;

    /* a FIFO must not stop the master */

    fd = ngx_open_file(path->data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", path);
        return NULL;
    }

    text = NULL;

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_fd_info_n " \"%V\" failed", path);
        goto done;
    }

    if (ngx_http_async_upload_token_check(cf, path, &fi) != NGX_OK) {
        goto done;
    }

    text = ngx_alloc(NGX_HTTP_ASYNC_UPLOAD_TOKEN_FILE, cf->log);
    if (text == NULL) {
        goto done;
    }

    *size = 0;

    do {
        n = ngx_read_fd(fd, text + *size,
                        NGX_HTTP_ASYNC_UPLOAD_TOKEN_FILE - *size);

        if (n == -1) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                               ngx_read_fd_n " \"%V\" failed", path);
            OPENSSL_cleanse(text, NGX_HTTP_ASYNC_UPLOAD_TOKEN_FILE);
            ngx_free(text);
            text = NULL;
            goto done;
        }

        *size += n;

    } while (n && *size < NGX_HTTP_ASYNC_UPLOAD_TOKEN_FILE);

done:

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno,
                           ngx_close_file_n " \"%V\" failed", path);
    }

    return text;
}


static ngx_int_t
ngx_http_async_upload_token_check(ngx_conf_t *cf, ngx_str_t *path,
    ngx_file_info_t *fi)
{
    if (!ngx_is_file(fi)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "token file \"%V\" is not a regular file", path);
        return NGX_ERROR;
    }

    if (ngx_file_access(fi) & (S_IRWXG|S_IRWXO)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "token file \"%V\" must be accessible to its owner "
                           "alone", path);
        return NGX_ERROR;
    }

    if (ngx_file_size(fi) >= NGX_HTTP_ASYNC_UPLOAD_TOKEN_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "token file \"%V\" is too large, it must have less "
                           "than %d bytes",
                           path, NGX_HTTP_ASYNC_UPLOAD_TOKEN_FILE);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_array_t *
ngx_http_async_upload_token_parse(ngx_conf_t *cf, ngx_str_t *path, u_char *p,
    u_char *last)
{
    u_char       *end;
    ngx_str_t     line;
    ngx_uint_t    number;
    ngx_array_t  *tokens;

    tokens = ngx_array_create(cf->pool, 4,
                              sizeof(ngx_http_async_upload_token_t));
    if (tokens == NULL) {
        return NULL;
    }

    for (number = 1; p < last; number++, p = end + 1) {

        end = ngx_strlchr(p, last, '\n');
        if (end == NULL) {
            end = last;
        }

        line.data = p;
        line.len = end - p;

        if (line.len && line.data[line.len - 1] == '\r') {
            line.len--;
        }

        if (line.len == 0 || line.data[0] == '#') {
            continue;
        }

        if (ngx_http_async_upload_token_add(cf, tokens, path, number, &line)
            != NGX_OK)
        {
            return NULL;
        }
    }

    if (tokens->nelts == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "there is no token in \"%V\"", path);
        return NULL;
    }

    return tokens;
}


/* nothing of a line is ever shown, not its name: they may be mixed up */

static ngx_int_t
ngx_http_async_upload_token_add(ngx_conf_t *cf, ngx_array_t *tokens,
    ngx_str_t *path, ngx_uint_t number, ngx_str_t *line)
{
    u_char      *p;
    ngx_str_t    name, secret;
    ngx_uint_t   i;

    p = ngx_strlchr(line->data, line->data + line->len, ':');

    if (p == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid line %ui of \"%V\", it must be name:token",
                           number, path);
        return NGX_ERROR;
    }

    name.data = line->data;
    name.len = p - line->data;

    secret.data = p + 1;
    secret.len = line->data + line->len - secret.data;

    if (!ngx_http_async_upload_token_is_name(&name)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid name in line %ui of \"%V\", it must be 1 "
                           "to %d letters, digits, \".\", \"_\" or \"-\"",
                           number, path, NGX_HTTP_ASYNC_UPLOAD_ACCESS_NAME);
        return NGX_ERROR;
    }

    if (secret.len < NGX_HTTP_ASYNC_UPLOAD_TOKEN_MIN) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "token in line %ui of \"%V\" is too short, it must "
                           "have at least %d bytes",
                           number, path, NGX_HTTP_ASYNC_UPLOAD_TOKEN_MIN);
        return NGX_ERROR;
    }

    /* what a header can carry, and a scheme's parser gives back unchanged */

    for (i = 0; i < secret.len; i++) {
        if (secret.data[i] <= 0x20 || secret.data[i] >= 0x7f) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid token in line %ui of \"%V\", it must "
                               "be printable ASCII without spaces",
                               number, path);
            return NGX_ERROR;
        }
    }

    return ngx_http_async_upload_token_keep(cf, tokens, path, number, &name,
                                            &secret);
}


static ngx_int_t
ngx_http_async_upload_token_keep(ngx_conf_t *cf, ngx_array_t *tokens,
    ngx_str_t *path, ngx_uint_t number, ngx_str_t *name, ngx_str_t *secret)
{
    u_char                         *digest;
    ngx_uint_t                      i;
    ngx_http_async_upload_token_t  *token;

    digest = ngx_pnalloc(cf->pool, NGX_HTTP_ASYNC_UPLOAD_ACCESS_DIGEST);
    if (digest == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_async_upload_access_digest(secret, digest) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "there is no SHA-256");
        return NGX_ERROR;
    }

    token = tokens->elts;

    for (i = 0; i < tokens->nelts; i++) {

        if (token[i].name.len == name->len
            && ngx_strncmp(token[i].name.data, name->data, name->len) == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate name in line %ui of \"%V\"",
                               number, path);
            return NGX_ERROR;
        }

        if (ngx_memcmp(token[i].token.data, digest,
                       NGX_HTTP_ASYNC_UPLOAD_ACCESS_DIGEST)
            == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate token in line %ui of \"%V\"",
                               number, path);
            return NGX_ERROR;
        }
    }

    token = ngx_array_push(tokens);
    if (token == NULL) {
        return NGX_ERROR;
    }

    token->name.len = name->len;
    token->name.data = ngx_pstrdup(cf->pool, name);
    if (token->name.data == NULL) {
        return NGX_ERROR;
    }

    token->token.len = NGX_HTTP_ASYNC_UPLOAD_ACCESS_DIGEST;
    token->token.data = digest;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_async_upload_token_is_name(ngx_str_t *name)
{
    u_char      c;
    ngx_uint_t  i;

    if (name->len == 0 || name->len > NGX_HTTP_ASYNC_UPLOAD_ACCESS_NAME) {
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
