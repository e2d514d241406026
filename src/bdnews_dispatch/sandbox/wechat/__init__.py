"""The rest of the WeChat stand-in's account, one idea a file: material and drafts, mass sends, publishing, tags,
people, menus, one-time consents, quotas, OAuth, and the reports of finished jobs.

In: parsed calls of wechat_api.py. Out: answers, or `Refusal`. What is kept here ends with the process.
"""
