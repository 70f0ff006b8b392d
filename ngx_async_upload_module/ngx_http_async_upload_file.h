
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_FILE_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_FILE_H_INCLUDED_


/*
 * A small file that is replaced as a whole, and that others might have laid
 * a trap with.  The unit knows the file system; it does not know what is in
 * the file.
 *
 * Paths end in a null.
 */


#include "ngx_http_async_upload.h"


typedef struct {
    u_char                          *data;      /* ngx_free it; NULL: none */
    size_t                           size;
    uint64_t                         inode;
    uint64_t                         mtime;     /* nanoseconds since 1970 */
    const char                      *why;       /* it was refused */
} ngx_http_async_upload_file_t;


/*
 * Reads a file of up to "max" bytes.
 *
 * Refused are links, anything that is no regular file, a file that has other
 * names, that does not belong to root, to this process' user or to "user", or
 * that group or others can write.  Nothing of that kind is waited for.
 *
 * "file->inode" and "file->mtime" are those of what the caller knows already,
 * or 0; they are updated.
 *
 * Context: any process.
 * Memory:  "file->data" is set if the file was read, else NULL.
 * Returns: NGX_OK; NGX_DECLINED if there is none; NGX_DONE if it is the one
 *          that is known; NGX_ERROR, then "file->why" says in a few words what
 *          is wrong with it, until the next call.
 */
ngx_int_t ngx_http_async_upload_file_read(const u_char *path, size_t max,
    ngx_uid_t user, ngx_http_async_upload_file_t *file, ngx_log_t *log);

/*
 * Replaces a file: writes PATH.tmp.PID, 0600, and renames it.
 *
 * "durable": the file is on the disk before it is renamed, and the new name
 * before this returns.  A directory that then cannot be synchronised is
 * logged, but the file is the new one, so that is no error.
 *
 * Context: any process.
 * Returns: 0, or the errno of what failed, then the old file is untouched and
 *          the temporary one gone.
 */
ngx_err_t ngx_http_async_upload_file_write(const u_char *path,
    const u_char *data, size_t size, ngx_uint_t durable, ngx_log_t *log);

/*
 * Removes the temporary files that processes have left who were killed.
 */
void ngx_http_async_upload_file_sweep(const u_char *path, ngx_log_t *log);

/*
 * Keeps a file that was refused, or what else has its name, as PATH.corrupt;
 * what had that name before is replaced.  A failure is logged as [warn].
 *
 * The file stays where it is, too, until another one is written: if it never
 * is, the next start must not find that there was none.  A directory, which
 * could not be replaced, is moved, and an empty file takes its place.
 */
void ngx_http_async_upload_file_set_aside(const u_char *path, ngx_log_t *log);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_FILE_H_INCLUDED_ */
