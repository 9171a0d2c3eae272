"""Running earshot and watching it."""
