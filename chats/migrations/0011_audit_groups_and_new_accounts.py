"""Groups and new accounts, as deeds of the audit: names only, no change of the table."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('chats', '0010_audit_list_exported'),
    ]

    operations = [
        migrations.AlterField(
            model_name='auditentry',
            name='action',
            field=models.CharField(choices=[('messages.read', 'Messages Read'), ('message.redacted', 'Message Redacted'), ('conversation.retitled', 'Conversation Retitled'), ('conversation.handed_over', 'Conversation Handed Over'), ('conversation.deleted', 'Conversation Deleted'), ('conversation.imported', 'Conversation Imported'), ('conversation.exported', 'Conversation Exported'), ('participant.added', 'Participant Added'), ('participant.removed', 'Participant Removed'), ('user.created', 'User Created'), ('user.changed', 'User Changed'), ('user.powers_changed', 'User Powers Changed'), ('user.suspended', 'User Suspended'), ('user.reactivated', 'User Reactivated'), ('user.deleted', 'User Deleted'), ('user.exported', 'User Exported'), ('group.created', 'Group Created'), ('group.changed', 'Group Changed'), ('group.deleted', 'Group Deleted'), ('password.changed', 'Password Changed'), ('token.created', 'Token Created'), ('token.revoked', 'Token Revoked'), ('session.revoked', 'Session Revoked'), ('sign_in.unlocked', 'Sign In Unlocked'), ('list.exported', 'List Exported')], max_length=32),
        ),
    ]
