
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_file.h"


#define NGX_HTTP_ASYNC_UPLOAD_FILE_TEMP   ".tmp."
#define NGX_HTTP_ASYNC_UPLOAD_FILE_ASIDE  ".corrupt"


static ngx_int_t ngx_http_async_upload_file_refuse(
    ngx_http_async_upload_file_t *file, ngx_err_t err);
static const char *ngx_http_async_upload_file_wrong(const ngx_file_info_t *fi,
    size_t max, ngx_uid_t user);
static ngx_int_t ngx_http_async_upload_file_load(ngx_fd_t fd,
    ngx_http_async_upload_file_t *file, ngx_log_t *log);
static ngx_err_t ngx_http_async_upload_file_name(u_char *name,
    const u_char *path, const char *fmt, ...);
static ngx_err_t ngx_http_async_upload_file_directory(u_char *name,
    const u_char *path);
static ngx_fd_t ngx_http_async_upload_file_open(const u_char *path, int flags);
static ngx_fd_t ngx_http_async_upload_file_create(const u_char *path);
static ngx_err_t ngx_http_async_upload_file_store(const u_char *path,
    const u_char *data, size_t size, ngx_uint_t durable);
static ngx_err_t ngx_http_async_upload_file_sync(ngx_fd_t fd);


ngx_int_t
ngx_http_async_upload_file_read(const u_char *path, size_t max, ngx_uid_t user,
    ngx_http_async_upload_file_t *file, ngx_log_t *log)
{
    ngx_fd_t         fd;
    uint64_t         inode, mtime;
    ngx_err_t        err;
    ngx_int_t        rc;
    ngx_file_info_t  fi;

    file->data = NULL;
    file->size = 0;
    file->why = NULL;

    /* a FIFO or a device would be waited for */

    fd = ngx_http_async_upload_file_open(path, O_RDONLY|O_NONBLOCK|O_NOFOLLOW);

    if (fd == NGX_INVALID_FILE) {
        err = ngx_errno;

        return (err == NGX_ENOENT)
               ? NGX_DECLINED : ngx_http_async_upload_file_refuse(file, err);
    }

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        rc = ngx_http_async_upload_file_refuse(file, ngx_errno);
        goto done;
    }

    inode = (uint64_t) fi.st_ino;
    mtime = (uint64_t) fi.st_mtim.tv_sec * 1000000000
            + (uint64_t) fi.st_mtim.tv_nsec;

    if (file->inode == inode && file->mtime == mtime) {
        rc = NGX_DONE;
        goto done;
    }

    file->inode = inode;
    file->mtime = mtime;
    file->why = ngx_http_async_upload_file_wrong(&fi, max, user);

    if (file->why) {
        rc = NGX_ERROR;
        goto done;
    }

    file->size = (size_t) ngx_file_size(&fi);

    rc = ngx_http_async_upload_file_load(fd, file, log);

done:

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      ngx_close_file_n " \"%s\" failed", path);
    }

    return rc;
}


static ngx_int_t
ngx_http_async_upload_file_refuse(ngx_http_async_upload_file_t *file,
    ngx_err_t err)
{
    u_char  *p;

    static u_char  text[128];

    switch (err) {

    case NGX_ELOOP:

#ifdef EMLINK
    case EMLINK:        /* FreeBSD's answer to O_NOFOLLOW */
#endif

        file->why = "it is a link";
        break;

    case ENXIO:
        file->why = "it is no regular file";
        break;

    default:
        p = ngx_cpymem(text, "it cannot be read: ",
                       sizeof("it cannot be read: ") - 1);
        p = ngx_strerror(err, p, text + sizeof(text) - 1 - p);
        *p = '\0';

        file->why = (const char *) text;
    }

    return NGX_ERROR;
}


static const char *
ngx_http_async_upload_file_wrong(const ngx_file_info_t *fi, size_t max,
    ngx_uid_t user)
{
    if (!ngx_is_file(fi)) {
        return "it is no regular file";
    }

    /* none at all: it has just been replaced */

    if (fi->st_nlink > 1) {
        return "it has another name, too";
    }

    if (fi->st_uid != 0 && fi->st_uid != geteuid() && fi->st_uid != user) {
        return "it belongs to another user";
    }

    if (fi->st_mode & (S_IWGRP|S_IWOTH)) {
        return "others can write it";
    }

    if (fi->st_size > (off_t) max) {
        return "it is too large";
    }

    return NULL;
}


static ngx_int_t
ngx_http_async_upload_file_load(ngx_fd_t fd,
    ngx_http_async_upload_file_t *file, ngx_log_t *log)
{
    size_t   size;
    ssize_t  n;

    file->data = ngx_alloc(file->size + 1, log);
    if (file->data == NULL) {
        return ngx_http_async_upload_file_refuse(file, NGX_ENOMEM);
    }

    size = 0;

    /* one byte more than there was: it must not grow meanwhile */

    while (size <= file->size) {

        n = read(fd, file->data + size, file->size + 1 - size);

        if (n == -1 && ngx_errno == NGX_EINTR) {
            continue;
        }

        if (n == -1) {
            (void) ngx_http_async_upload_file_refuse(file, ngx_errno);
            break;
        }

        if (n == 0) {
            break;
        }

        size += n;
    }

    if (file->why == NULL && size == file->size) {
        return NGX_OK;
    }

    if (file->why == NULL) {
        file->why = "it was changed while it was read";
    }

    ngx_free(file->data);
    file->data = NULL;

    return NGX_ERROR;
}


ngx_err_t
ngx_http_async_upload_file_write(const u_char *path, const u_char *data,
    size_t size, ngx_uint_t durable, ngx_log_t *log)
{
    u_char     name[NGX_MAX_PATH];
    ngx_fd_t   fd;
    ngx_err_t  err;

    fd = NGX_INVALID_FILE;

    if (durable) {
        err = ngx_http_async_upload_file_directory(name, path);
        if (err) {
            return err;
        }

        fd = ngx_http_async_upload_file_open(name, O_RDONLY|O_DIRECTORY);
        if (fd == NGX_INVALID_FILE) {
            return ngx_errno;
        }
    }

    err = ngx_http_async_upload_file_name(name, path,
                                       NGX_HTTP_ASYNC_UPLOAD_FILE_TEMP "%P",
                                       ngx_pid);
    if (err) {
        goto done;
    }

    err = ngx_http_async_upload_file_store(name, data, size, durable);
    if (err) {
        goto done;
    }

    if (ngx_rename_file(name, path) == NGX_FILE_ERROR) {
        err = ngx_errno;
        (void) ngx_delete_file(name);
        goto done;
    }

    if (durable) {
        err = ngx_http_async_upload_file_sync(fd);

        if (err) {
            ngx_log_error(NGX_LOG_ALERT, log, err,
                          "fsync() of the directory of \"%s\" failed", path);
        }

        /* there is no way back: the file is the new one */

        err = 0;
    }

done:

    if (fd != NGX_INVALID_FILE && ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      ngx_close_file_n " of the directory of \"%s\" failed",
                      path);
    }

    return err;
}


static ngx_err_t
ngx_http_async_upload_file_store(const u_char *path, const u_char *data,
    size_t size, ngx_uint_t durable)
{
    ssize_t    n;
    ngx_fd_t   fd;
    ngx_err_t  err;

    fd = ngx_http_async_upload_file_create(path);

    if (fd == NGX_INVALID_FILE) {
        return ngx_errno;
    }

    err = 0;

    while (size > 0) {
        n = write(fd, data, size);

        if (n > 0) {
            data += n;
            size -= n;
            continue;
        }

        if (n == -1 && ngx_errno == NGX_EINTR) {
            continue;
        }

        err = (n == -1) ? ngx_errno : NGX_ENOSPC;
        break;
    }

    if (err == 0 && durable) {
        err = ngx_http_async_upload_file_sync(fd);
    }

    /* some file systems notice here that there is no room */

    if (ngx_close_file(fd) == NGX_FILE_ERROR && err == 0) {
        err = ngx_errno;
    }

    if (err) {
        (void) ngx_delete_file(path);
    }

    return err;
}


static ngx_fd_t
ngx_http_async_upload_file_create(const u_char *path)
{
    ngx_fd_t  fd;

    fd = ngx_http_async_upload_file_open(path,
                                         O_WRONLY|O_CREAT|O_EXCL|O_NOFOLLOW);

    if (fd != NGX_INVALID_FILE || ngx_errno != NGX_EEXIST) {
        return fd;
    }

    /* of a process that was killed and had the pid that is ours now */

    (void) ngx_delete_file(path);

    return ngx_http_async_upload_file_open(path,
                                           O_WRONLY|O_CREAT|O_EXCL|O_NOFOLLOW);
}


static ngx_fd_t
ngx_http_async_upload_file_open(const u_char *path, int flags)
{
    ngx_fd_t  fd;

    do {
        fd = open((const char *) path, flags|O_CLOEXEC, 0600);
    } while (fd == NGX_INVALID_FILE && ngx_errno == NGX_EINTR);

    return fd;
}


static ngx_err_t
ngx_http_async_upload_file_sync(ngx_fd_t fd)
{
    int  rc;

    do {
        rc = fsync(fd);
    } while (rc == -1 && ngx_errno == NGX_EINTR);

    /* what cannot be synchronised, some directories */

    return (rc == -1 && ngx_errno != NGX_EINVAL) ? ngx_errno : 0;
}


/* "name" has room for NGX_MAX_PATH bytes */

static ngx_err_t
ngx_http_async_upload_file_name(u_char *name, const u_char *path,
    const char *fmt, ...)
{
    u_char   *p, *last;
    va_list   args;

    last = name + NGX_MAX_PATH;

    p = ngx_slprintf(name, last, "%s", path);

    va_start(args, fmt);
    p = ngx_vslprintf(p, last, fmt, args);
    va_end(args);

    if (p == last) {
        return ENAMETOOLONG;
    }

    *p = '\0';

    return 0;
}


static ngx_err_t
ngx_http_async_upload_file_directory(u_char *name, const u_char *path)
{
    u_char     *p;
    ngx_err_t   err;

    err = ngx_http_async_upload_file_name(name, path, "");
    if (err) {
        return err;
    }

    p = (u_char *) strrchr((char *) name, '/');

    if (p == NULL) {
        name[0] = '.';
        name[1] = '\0';

    } else {
        p[p == name] = '\0';
    }

    return 0;
}


void
ngx_http_async_upload_file_sweep(const u_char *path, ngx_log_t *log)
{
    size_t      len;
    u_char      directory[NGX_MAX_PATH], name[NGX_MAX_PATH];
    u_char      base[NGX_MAX_PATH], *p;
    ngx_dir_t   dir;
    ngx_int_t   pid;
    ngx_str_t   dirname;

    if (ngx_http_async_upload_file_directory(directory, path) != 0
        || ngx_http_async_upload_file_name(name, path,
                                           NGX_HTTP_ASYNC_UPLOAD_FILE_TEMP)
           != 0)
    {
        return;
    }

    dirname.data = directory;
    dirname.len = ngx_strlen(directory);

    if (ngx_open_dir(&dirname, &dir) == NGX_ERROR) {

        /* whoever writes there will say so */

        return;
    }

    p = (u_char *) strrchr((char *) name, '/');
    len = ngx_cpystrn(base, p ? p + 1 : name, NGX_MAX_PATH) - base;

    while (ngx_read_dir(&dir) == NGX_OK) {

        p = ngx_de_name(&dir);

        if (ngx_strncmp(p, base, len) != 0) {
            continue;
        }

        pid = ngx_atoi(p + len, ngx_strlen(p + len));

        if (pid <= 0 || (ngx_pid_t) pid == ngx_pid
            || kill((ngx_pid_t) pid, 0) == 0 || ngx_errno != NGX_ESRCH)
        {
            continue;
        }

        if (ngx_http_async_upload_file_name(name, path,
                                       NGX_HTTP_ASYNC_UPLOAD_FILE_TEMP "%i",
                                       pid)
            == 0)
        {
            (void) ngx_delete_file(name);
        }
    }

    if (ngx_close_dir(&dir) == NGX_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      ngx_close_dir_n " \"%s\" failed", directory);
    }
}


void
ngx_http_async_upload_file_set_aside(const u_char *path, ngx_log_t *log)
{
    u_char     name[NGX_MAX_PATH];
    ngx_fd_t   fd;
    ngx_err_t  err;

    err = ngx_http_async_upload_file_name(name, path,
                                          NGX_HTTP_ASYNC_UPLOAD_FILE_ASIDE);
    if (err) {
        goto failed;
    }

    if (ngx_delete_file(name) == NGX_FILE_ERROR && ngx_errno != NGX_ENOENT) {
        err = ngx_errno;
        goto failed;
    }

    /* a link is not followed */

    if (linkat(AT_FDCWD, (const char *) path, AT_FDCWD, (const char *) name, 0)
        == 0)
    {
        return;
    }

    if (ngx_rename_file(path, name) == NGX_FILE_ERROR) {
        err = ngx_errno;
        goto failed;
    }

    fd = ngx_http_async_upload_file_create(path);

    if (fd == NGX_INVALID_FILE || ngx_close_file(fd) == NGX_FILE_ERROR) {
        err = ngx_errno;
        goto failed;
    }

    return;

failed:

    ngx_log_error(NGX_LOG_WARN, log, err,
                  "\"%s\" cannot be kept as "
                  "\"%s" NGX_HTTP_ASYNC_UPLOAD_FILE_ASIDE "\"", path, path);
}
