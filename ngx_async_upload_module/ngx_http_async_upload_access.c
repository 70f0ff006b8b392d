
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_access.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>


/* where a page came from, or a server's address: both as "host" and "port" */

typedef struct {
    ngx_str_t   host;
    ngx_str_t   port;                   /* empty: the scheme's */
} ngx_http_async_upload_access_site_t;


static ngx_int_t ngx_http_async_upload_access_token(ngx_http_request_t *r,
    ngx_array_t *tokens, ngx_http_async_upload_answer_t *answer,
    ngx_str_t *name);
static ngx_int_t ngx_http_async_upload_access_local(ngx_http_request_t *r,
    ngx_http_async_upload_answer_t *answer);
static ngx_uint_t ngx_http_async_upload_access_loopback(struct sockaddr *sa);
static ngx_uint_t ngx_http_async_upload_access_proxied(ngx_http_request_t *r);
static ngx_uint_t ngx_http_async_upload_access_proxy_header(
    ngx_table_elt_t *h);
static ngx_int_t ngx_http_async_upload_access_origin(ngx_http_request_t *r,
    ngx_uint_t local, ngx_http_async_upload_answer_t *answer);
static ngx_uint_t ngx_http_async_upload_access_same(ngx_http_request_t *r,
    ngx_str_t *origin, ngx_uint_t local);
static ngx_uint_t ngx_http_async_upload_access_named(ngx_str_t *host);
static void ngx_http_async_upload_access_site(ngx_str_t *text,
    ngx_str_t *port, ngx_http_async_upload_access_site_t *site);
static ngx_table_elt_t *ngx_http_async_upload_access_next(
    ngx_list_part_t **part, ngx_uint_t *i);
static u_char *ngx_http_async_upload_access_part(u_char *p, u_char *last,
    const char *name, ngx_str_t *value, size_t max);


ngx_int_t
ngx_http_async_upload_access_digest(ngx_str_t *token, u_char *digest)
{
    return EVP_Digest(token->data, token->len, digest, NULL, EVP_sha256(), NULL)
           ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_async_upload_access_check(ngx_http_request_t *r, ngx_array_t *tokens,
    ngx_http_async_upload_answer_t *answer, ngx_str_t *name)
{
    ngx_str_null(name);

    if (ngx_http_async_upload_access_origin(r, tokens == NULL, answer)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return tokens ? ngx_http_async_upload_access_token(r, tokens, answer, name)
                  : ngx_http_async_upload_access_local(r, answer);
}


/* digests of one length are compared, all of them, whichever is right */

static ngx_int_t
ngx_http_async_upload_access_token(ngx_http_request_t *r, ngx_array_t *tokens,
    ngx_http_async_upload_answer_t *answer, ngx_str_t *name)
{
    u_char                          digest[EVP_MAX_MD_SIZE];
    ngx_str_t                       given;
    ngx_uint_t                      i;
    ngx_http_async_upload_token_t  *token;

    ngx_str_null(&given);

    if (r->headers_in.authorization) {
        given = r->headers_in.authorization->value;
    }

    if (given.len < sizeof("Bearer ") - 1
        || ngx_strncasecmp(given.data, (u_char *) "Bearer ",
                           sizeof("Bearer ") - 1)
           != 0)
    {
        return ngx_http_async_upload_rollout_refuse(answer,
                       NGX_HTTP_UNAUTHORIZED, "unauthorized",
                       "a token is needed, as Authorization: Bearer TOKEN");
    }

    given.len -= sizeof("Bearer ") - 1;
    given.data += sizeof("Bearer ") - 1;

    while (given.len && given.data[0] == ' ') {
        given.len--;
        given.data++;
    }

    if (ngx_http_async_upload_access_digest(&given, digest) == NGX_OK) {
        token = tokens->elts;

        for (i = 0; i < tokens->nelts; i++) {
            if (CRYPTO_memcmp(token[i].token.data, digest,
                              NGX_HTTP_ASYNC_UPLOAD_ACCESS_DIGEST)
                == 0)
            {
                *name = token[i].name;
            }
        }
    }

    if (name->len == 0) {
        return ngx_http_async_upload_rollout_refuse(answer,
                       NGX_HTTP_UNAUTHORIZED, "unauthorized",
                       "the token is not known here");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_async_upload_access_local(ngx_http_request_t *r,
    ngx_http_async_upload_answer_t *answer)
{
    if (!ngx_http_async_upload_access_loopback(r->connection->sockaddr)) {
        return ngx_http_async_upload_rollout_refuse(answer, NGX_HTTP_FORBIDDEN,
                       "forbidden",
                       "without tokens only this machine may command, over a "
                       "UNIX socket or a loopback address");
    }

    if (ngx_http_async_upload_access_proxied(r)) {
        return ngx_http_async_upload_rollout_refuse(answer, NGX_HTTP_FORBIDDEN,
                       "forbidden",
                       "without tokens only this machine may command, not "
                       "through a proxy");
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_async_upload_access_loopback(struct sockaddr *sa)
{
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    u_char               *p;
    struct sockaddr_in6  *sin6;
#endif

    switch (sa->sa_family) {

#if (NGX_HAVE_UNIX_DOMAIN)
    case AF_UNIX:
        return 1;
#endif

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) sa;
        p = sin6->sin6_addr.s6_addr;

        return IN6_IS_ADDR_LOOPBACK(&sin6->sin6_addr)
               || (IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr) && p[12] == 127);
#endif

    case AF_INET:
        sin = (struct sockaddr_in *) sa;
        return ntohl(sin->sin_addr.s_addr) >> 24 == 127;
    }

    return 0;
}


/*
 * Whether somebody else stands behind the peer.  The realip module gives the
 * connection the address that a header claims: its variable tells the other.
 */

static ngx_uint_t
ngx_http_async_upload_access_proxied(ngx_http_request_t *r)
{
    ngx_str_t                   name;
    ngx_uint_t                  i, key;
    ngx_list_part_t            *part;
    ngx_table_elt_t            *h;
    ngx_http_variable_value_t  *v;

    if (r->connection->proxy_protocol) {
        return 1;
    }

    i = 0;
    part = &r->headers_in.headers.part;

    while ((h = ngx_http_async_upload_access_next(&part, &i)) != NULL) {
        if (ngx_http_async_upload_access_proxy_header(h)) {
            return 1;
        }
    }

    ngx_str_set(&name, "realip_remote_addr");
    key = ngx_hash_key(name.data, name.len);

    v = ngx_http_get_variable(r, &name, key);

    if (v == NULL) {
        return 1;
    }

    return !v->not_found
           && (v->len != r->connection->addr_text.len
               || ngx_memcmp(v->data, r->connection->addr_text.data, v->len)
                  != 0);
}


static ngx_uint_t
ngx_http_async_upload_access_proxy_header(ngx_table_elt_t *h)
{
    ngx_uint_t  i;

    static ngx_str_t  names[] = {
        ngx_string("forwarded"),
        ngx_string("via"),
        ngx_string("x-real-ip")
    };

    static ngx_str_t  prefix = ngx_string("x-forwarded-");

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (h->key.len == names[i].len
            && ngx_strncmp(h->lowcase_key, names[i].data, names[i].len) == 0)
        {
            return 1;
        }
    }

    return h->key.len >= prefix.len
           && ngx_strncmp(h->lowcase_key, prefix.data, prefix.len) == 0;
}


/*
 * Browsers tell which page commands; it must be of this host.  Where nothing
 * but the address tells who may, the host must be named as a local one: any
 * other name can be made to mean this machine, by whoever owns the name.
 */

static ngx_int_t
ngx_http_async_upload_access_origin(ngx_http_request_t *r, ngx_uint_t local,
    ngx_http_async_upload_answer_t *answer)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    i = 0;
    part = &r->headers_in.headers.part;

    while ((h = ngx_http_async_upload_access_next(&part, &i)) != NULL) {

        if (h->key.len == sizeof("origin") - 1
            && ngx_strncmp(h->lowcase_key, "origin", sizeof("origin") - 1) == 0
            && !ngx_http_async_upload_access_same(r, &h->value, local))
        {
            return ngx_http_async_upload_rollout_refuse(answer,
                           NGX_HTTP_FORBIDDEN, "forbidden",
                           "a page of another origin must not command");
        }
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_async_upload_access_same(ngx_http_request_t *r, ngx_str_t *origin,
    ngx_uint_t local)
{
    ngx_str_t                            text, port;
    ngx_http_async_upload_access_site_t  page, host;

    text = *origin;

    if (text.len > sizeof("https://") - 1
        && ngx_strncasecmp(text.data, (u_char *) "https://",
                           sizeof("https://") - 1)
           == 0)
    {
        text.data += sizeof("https://") - 1;
        text.len -= sizeof("https://") - 1;
        ngx_str_set(&port, "443");

    } else if (text.len > sizeof("http://") - 1
               && ngx_strncasecmp(text.data, (u_char *) "http://",
                                  sizeof("http://") - 1)
                  == 0)
    {
        text.data += sizeof("http://") - 1;
        text.len -= sizeof("http://") - 1;
        ngx_str_set(&port, "80");

    } else {
        return 0;
    }

    ngx_http_async_upload_access_site(&text, &port, &page);

    if (r->headers_in.host) {
        text = r->headers_in.host->value;

    } else if (r->host_start) {
        text.data = r->host_start;
        text.len = r->host_end - r->host_start;

    } else {
        return 0;
    }

    ngx_http_async_upload_access_site(&text, &port, &host);

    if (local && !ngx_http_async_upload_access_named(&host.host)) {
        return 0;
    }

    return page.host.len == host.host.len
           && ngx_strncasecmp(page.host.data, host.host.data, host.host.len)
              == 0
           && page.port.len == host.port.len
           && ngx_strncmp(page.port.data, host.port.data, host.port.len) == 0;
}


/* localhost or an address of the loopback interface */

static ngx_uint_t
ngx_http_async_upload_access_named(ngx_str_t *host)
{
    in_addr_t  address;

    if (host->len == sizeof("localhost") - 1
        && ngx_strncasecmp(host->data, (u_char *) "localhost", host->len) == 0)
    {
        return 1;
    }

    if (host->len == sizeof("[::1]") - 1
        && ngx_strncmp(host->data, "[::1]", host->len) == 0)
    {
        return 1;
    }

    address = ngx_inet_addr(host->data, host->len);

    return address != INADDR_NONE && (ntohl(address) >> 24) == 127;
}


/* "host", "host:port", "[address]" or "[address]:port" */

static void
ngx_http_async_upload_access_site(ngx_str_t *text, ngx_str_t *port,
    ngx_http_async_upload_access_site_t *site)
{
    u_char  *p, *last;

    site->host = *text;
    site->port = *port;

    last = text->data + text->len;

    for (p = last; p > text->data; p--) {

        if (p[-1] == ']') {
            break;
        }

        if (p[-1] == ':') {
            site->host.len = p - 1 - text->data;
            site->port.data = p;
            site->port.len = last - p;
            break;
        }
    }
}


/* the next header of a request, NULL at the end; "*i" starts at 0 */

static ngx_table_elt_t *
ngx_http_async_upload_access_next(ngx_list_part_t **part, ngx_uint_t *i)
{
    ngx_table_elt_t  *h;

    while (*i >= (*part)->nelts) {

        if ((*part)->next == NULL) {
            return NULL;
        }

        *part = (*part)->next;
        *i = 0;
    }

    h = (*part)->elts;

    return &h[(*i)++];
}


size_t
ngx_http_async_upload_access_who(ngx_http_request_t *r, ngx_str_t *token,
    ngx_str_t *actor, u_char *buf)
{
    u_char     *p, *last;
    ngx_str_t   user;

    p = buf;
    last = buf + NGX_HTTP_ASYNC_UPLOAD_WHO - 1;

    ngx_str_null(&user);

    if (ngx_http_auth_basic_user(r) == NGX_OK) {
        user = r->headers_in.user;
    }

    p = ngx_http_async_upload_access_part(p, last, "peer=",
                              &r->connection->addr_text, NGX_SOCKADDR_STRLEN);
    p = ngx_http_async_upload_access_part(p, last, " user=", &user,
                                     NGX_HTTP_ASYNC_UPLOAD_ACCESS_NAME);
    p = ngx_http_async_upload_access_part(p, last, " token=", token,
                                     NGX_HTTP_ASYNC_UPLOAD_ACCESS_NAME);
    p = ngx_http_async_upload_access_part(p, last, " actor=", actor, 0);

    *p = '\0';

    return p - buf;
}


/*
 * A part if it is known and there is room for its name and a byte of it, at
 * most "max" bytes; without "max" it is the last one and may have spaces.
 * What could be taken for another part, or for the end of a line, is replaced.
 */

static u_char *
ngx_http_async_upload_access_part(u_char *p, u_char *last, const char *name,
    ngx_str_t *value, size_t max)
{
    u_char   c;
    size_t   i, n, len;

    len = ngx_strlen(name);

    if (value->len == 0 || p + len >= last) {
        return p;
    }

    n = ngx_min(value->len, (size_t) (last - p) - len);

    if (max && n > max) {
        n = max;
    }

    /* not within a character of UTF-8 */

    while (n && n < value->len && (value->data[n] & 0xc0) == 0x80) {
        n--;
    }

    if (n == 0) {
        return p;
    }

    p = ngx_cpymem(p, name, len);

    for (i = 0; i < n; i++) {
        c = value->data[i];

        *p++ = (c < 0x20 || c == 0x7f || (c == ' ' && max)) ? '_' : c;
    }

    return p;
}
