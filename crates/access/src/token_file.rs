//! Tokens that stand in a file: one a line, as `token,user,uid,"group1,group2"`.
//!
//! Upstream: apiserver `pkg/authentication/token/tokenfile/tokenfile.go`.

use std::collections::HashMap;

use crate::User;

/// Users by their tokens.
#[derive(Default)]
pub struct TokenFile(HashMap<String, User>);

impl TokenFile {
    /// Reads a file's text. What is wrong is told by its line, never with a token.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut users = HashMap::new();
        for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let fields = fields(line).ok_or_else(|| format!("line {}: a quoted field has no end", i + 1))?;
            let [token, name, uid, rest @ ..] = fields.as_slice() else {
                return Err(format!("line {}: token file must have at least 3 columns (token, user name, user uid), found {}", i + 1, fields.len()));
            };
            if token.is_empty() {
                continue;
            }
            let groups = rest.first().map(|g| g.split(',').map(str::trim).filter(|g| !g.is_empty()).map(str::to_owned).collect()).unwrap_or_default();
            let mut user = User { name: name.clone(), groups, uid: uid.clone(), ..User::default() };
            user.is_authenticated();
            users.insert(token.clone(), user);
        }
        Ok(Self(users))
    }

    pub fn user(&self, token: &str) -> Option<&User> {
        self.0.get(token)
    }
}

/// The fields of a line; quotes hold commas, two of them stand for one. None where a quoted field has no end.
fn fields(line: &str) -> Option<Vec<String>> {
    let (mut all, mut rest) = (Vec::new(), line.trim_end_matches('\r'));
    loop {
        let mut field = String::new();
        if let Some(mut quoted) = rest.strip_prefix('"') {
            loop {
                let (part, after) = quoted.split_once('"')?;
                field.push_str(part);
                match after.strip_prefix('"') {
                    Some(more) => {
                        field.push('"');
                        quoted = more;
                    }
                    None => {
                        rest = after;
                        break;
                    }
                }
            }
        }
        let (tail, after) = rest.split_once(',').map_or((rest, None), |(tail, after)| (tail, Some(after)));
        field.push_str(tail);
        all.push(field);
        match after {
            Some(after) => rest = after,
            None => return Some(all),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_users() {
        let file = TokenFile::read("t1,eva,7,\"dev, ops\"\n\nt2,\"max \"\"m\"\"\",8\r\n,nobody,9\n").unwrap();
        let eva = file.user("t1").unwrap();
        assert_eq!((eva.name.as_str(), eva.uid.as_str(), eva.groups.join(" ")), ("eva", "7", "dev ops system:authenticated".into()));
        assert_eq!(file.user("t2").unwrap().name, "max \"m\"");
        assert!(file.user("").is_none() && file.user("t3").is_none());
        for (text, why) in [("secret,eva\n", "line 1: token file must have at least 3 columns"), ("a,b,c\nsecret,\"eva,7\n", "line 2: a quoted field has no end")] {
            let told = TokenFile::read(text).err().unwrap_or_default();
            assert!(told.contains(why) && !told.contains("secret"), "{told}");
        }
    }
}
