//! Reviews: `authentication.k8s.io` and `authorization.k8s.io`. Nothing of them is stored.

use crate::resource::Resource;

pub fn resources() -> Vec<Resource> {
    let (authentication, authorization) = ("authentication.k8s.io", "authorization.k8s.io");
    vec![
        Resource::review(authentication, "v1", "SelfSubjectReview", "selfsubjectreviews", false),
        Resource::review(authentication, "v1", "TokenReview", "tokenreviews", false),
        Resource::review(authorization, "v1", "LocalSubjectAccessReview", "localsubjectaccessreviews", true),
        Resource::review(authorization, "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", false),
        Resource::review(authorization, "v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", false),
        Resource::review(authorization, "v1", "SubjectAccessReview", "subjectaccessreviews", false),
    ]
}
